// Draws /openapi.json: each path, its input, its answers, and how curl asks for it; and sends a picture to try it. It
// inserts text as text, never as HTML.

import { authorization, keepToken } from "./engine.js";
import { EXAMPLES } from "./examples.js";
import { bytes } from "./pixels.js";

const VALUES = { number: ["7"], text: ["5", "2"], layout: ["9,7,13"] }; // of fields, in the examples for curl
const EXAMPLE = "a 5"; // what is sent if no picture is chosen

/** Make an element with attributes and with children, which are elements or text. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Make paragraphs of text, split at blank lines. Text between backquotes becomes code. */
function prose(text) {
  return text.split(/\n\n+/).map((paragraph) => {
    const parts = paragraph.split("`").map((part, place) => (place % 2 ? make("code", {}, part) : part));
    return make("p", {}, ...parts);
  });
}

/** The schema to which `schema` refers, with its name; `schema` itself if it refers to none. */
function resolved(schema, document) {
  const name = schema.$ref?.split("/").pop();
  return name ? { name, ...document.components.schemas[name] } : schema;
}

/** A schema in a few words, such as "list of 1 to 64 Reading or Failed". */
function words(given, document) {
  const schema = resolved(given, document);
  if (schema.name) return schema.name;
  if (schema.anyOf) return schema.anyOf.map((kind) => words(kind, document)).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.type === "array") {
    const { minItems: least, maxItems: most } = schema;
    const count = least === undefined && most === undefined ? "" : least === most ? `${least} ` : `${least ?? 0} to ${most ?? "any"} `;
    return `list of ${count}${words(schema.items ?? {}, document)}`;
  }
  const format = schema.contentEncoding ?? schema.format;
  const range = schema.minimum === undefined ? "" : ` from ${schema.minimum} to ${schema.maximum ?? "any"}`;
  return `${schema.type ?? "anything"}${format ? ` (${format})` : ""}${range}`;
}

/** Text in which the names of objects lead to them. */
function linked(text, document) {
  const names = Object.keys(document.components.schemas);
  return text.split(new RegExp(`\\b(${names.join("|")})\\b`)).map((part) => {
    return names.includes(part) ? make("a", { href: `#${part}` }, part) : part;
  });
}

/** A term of a list, with what it is, and a description of it. */
function entry(name, kind, description, document) {
  return [make("dt", {}, make("code", {}, name), " ", ...linked(kind, document)), make("dd", {}, ...prose(description ?? ""))];
}

/** The properties of an object as a list, and more lists for the objects in its lists. */
function properties(given, document) {
  const schema = resolved(given, document);
  if (!schema.properties) return [make("p", {}, ...linked(words(given, document), document))];
  const rows = Object.entries(schema.properties).flatMap(([name, property]) => {
    const optional = schema.required?.includes(name) ? "" : ", optional";
    return entry(name, words(property, document) + optional, property.description, document);
  });
  const nested = Object.entries(schema.properties)
    .filter(([, property]) => property.items?.properties)
    .flatMap(([name, property]) => [make("p", {}, "Each of ", make("code", {}, name), ":"), ...properties(property.items, document)]);
  return [make("dl", {}, ...rows), ...nested];
}

function details(title, content) {
  return make("details", {}, make("summary", {}, title), ...content);
}

function response([status, answer], document) {
  const [type, media] = Object.entries(answer.content ?? {})[0] ?? ["", null];
  const kind = media?.schema ? `${type}: ${words(media.schema, document)}` : type;
  return entry(status, kind, answer.description, document);
}

/** Whether a field holds files. Of a field that may be a list, `kinds` are the alternatives. */
function isFile({ format, anyOf: kinds = [] }) {
  return format === "binary" || kinds.some(isFile);
}

/** The fields of a form, as curl sends them: of those that may be lists, two of each. */
function fields({ required = [], properties: all }) {
  const isList = (name) => all[name].anyOf?.some(({ type }) => type === "array");
  return Array.from({ length: required.some(isList) ? 2 : 1 }, (_, place) =>
    required.filter((name) => !place || isList(name)).flatMap((name) => {
      if (isFile(all[name])) return `-F ${name}=@picture${place ? place + 1 : ""}.png`;
      const value = (VALUES[name] ?? ["…"])[place];
      return value === undefined ? [] : `-F ${name}=${value}`;
    })).flat();
}

/** How curl asks for a path. A server that knows tokens gets the one in the variable TOKEN. */
function curl(path, method, given) {
  const url = new URL(path.slice(1), document.baseURI).href.replace(/%7B(\w+)%7D/g, (_, name) => name.toUpperCase());
  const form = given.requestBody?.content["multipart/form-data"]?.schema;
  const file = Object.keys(given.responses[200]?.content ?? {}).find((type) => !/json|^text/.test(type));
  const parts = [
    `curl ${method === "delete" ? "-X DELETE " : ""}${url}`,
    ...(given.security?.length ? ['-H "Authorization: Bearer $TOKEN"'] : []),
    ...(form ? fields(form) : []),
    ...(file ? [`-o answer.${file.split("/")[1]}`] : []),
  ];
  return make("pre", { class: "curl" }, parts.join(" \\\n  "));
}

function operation(path, method, given, document) {
  const bodies = Object.entries(given.requestBody?.content ?? {}).map(([type, media]) =>
    details(`Body: ${type}`, properties(media.schema, document)));
  const parameters = (given.parameters ?? []).flatMap(({ name, in: where, schema, description }) =>
    entry(where === "path" ? `{${name}}` : `?${name}=`, words(schema, document), description, document));
  return make(
    "section", { id: given.operationId },
    make("h3", {}, make("span", { class: "method" }, method.toUpperCase()), path),
    make("p", {}, given.summary ?? ""),
    curl(path, method, given),
    ...(parameters.length ? [make("dl", {}, ...parameters)] : []),
    ...bodies,
    details("Answers", [make("dl", {}, ...Object.entries(given.responses).flatMap((entry) => response(entry, document)))]),
  );
}

async function draw() {
  const place = document.getElementById("operations");
  try {
    const answer = await fetch("openapi.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const api = await answer.json();
    document.getElementById("introduction").replaceChildren(...prose(api.info.description));
    const all = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, given]) => ({ path, method, given })));
    const operations = all.map(({ path, method, given }) => operation(path, method, given, api));
    const contents = all.map(({ path, method, given }) =>
      make("li", {}, make("a", { href: `#${given.operationId}` }, `${method.toUpperCase()} ${path}`)));
    const schemas = Object.entries(api.components.schemas).map(([name, schema]) =>
      make("section", { id: name }, make("h3", {}, name), make("p", {}, schema.description ?? ""), ...properties(schema, api)));
    document.getElementById("contents").replaceChildren(...contents);
    place.replaceChildren(make("h2", {}, "Paths"), ...operations, make("h2", {}, "Objects in the answers"), ...schemas);
    document.getElementById(location.hash.slice(1))?.scrollIntoView();
    needToken(Boolean(api.paths["/v1/read"].post.security) && !authorization().authorization);
  } catch (error) {
    place.textContent = `/openapi.json could not be read (${error.message}): reload the page.`;
  }
}

// Trying it.

const form = document.getElementById("try-form");

/** Show or hide the field for the server's token, which this tab keeps for all pages of the server. */
function needToken(needed) {
  form.elements.token.parentElement.hidden = !needed;
  form.elements.token.required = needed;
}

/** Send the form, and show the answer. */
async function send() {
  const { picture, number, token } = form.elements;
  const { name, png } = EXAMPLES.find((example) => example.name === EXAMPLE);
  const body = new FormData();
  body.append("picture", picture.files[0] ?? new File([bytes(png)], `${name}.png`, { type: "image/png" }));
  body.append("number", number.value);
  if (token.required) keepToken(token.value.trim());
  const show = (status, answer) => {
    document.getElementById("try-status").textContent = status;
    document.getElementById("try-answer").textContent = answer;
  };
  show("Sent …", "");
  try {
    const answer = await fetch("v1/read", { method: "POST", headers: authorization(), body });
    needToken(answer.status === 401);
    show(`${answer.status} ${answer.statusText}`, written(await answer.json()));
  } catch (error) {
    show(`There is no answer (${error.message}). Is the server still running?`, "");
  }
}

/** JSON with each list of numbers on a line. */
function written(answer) {
  return JSON.stringify(answer, null, 2).replace(/\[[^[\]{}"]*\]/g, (list) => list.replace(/\s+/g, " "));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
draw();

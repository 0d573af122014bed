// Draws /openapi.json: every path, what it takes, what it answers. Text goes in as text, never as HTML.
"use strict";

/** An element with attributes, and children that are elements or text. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Text as paragraphs, which blank lines part; what stands between backquotes is code. */
function prose(text) {
  return text.split(/\n\n+/).map((paragraph) => {
    const parts = paragraph.split("`").map((part, place) => (place % 2 ? make("code", {}, part) : part));
    return make("p", {}, ...parts);
  });
}

/** What `schema` refers to, its name beside it. */
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

/** The properties of an object as a table; of what its lists hold, too. */
function properties(given, document) {
  const schema = resolved(given, document);
  if (!schema.properties) return [make("p", {}, words(given, document))];
  const rows = Object.entries(schema.properties).map(([name, property]) =>
    make(
      "tr", {},
      make("td", {}, make("code", {}, name), schema.required?.includes(name) ? "" : " (optional)"),
      make("td", {}, words(property, document)),
      make("td", {}, ...(property.description ? prose(property.description) : [])),
    ));
  const nested = Object.entries(schema.properties)
    .filter(([, property]) => property.items?.properties)
    .flatMap(([name, property]) => [make("p", {}, "Each of ", make("code", {}, name), ":"), ...properties(property.items, document)]);
  return [make("table", {}, ...rows), ...nested];
}

function details(title, content) {
  return make("details", {}, make("summary", {}, title), ...content);
}

function response([status, answer], document) {
  const [type, media] = Object.entries(answer.content ?? {})[0] ?? ["", null];
  const schema = media?.schema ? [make("code", {}, type), ": ", words(media.schema, document)] : [];
  return make("tr", {}, make("td", {}, status), make("td", {}, ...prose(answer.description)), make("td", {}, ...schema));
}

function operation(path, method, given, document) {
  const bodies = Object.entries(given.requestBody?.content ?? {}).map(([type, media]) =>
    details(`Body: ${type}`, properties(media.schema, document)));
  const parameters = (given.parameters ?? []).map((parameter) =>
    make("tr", {}, make("td", {}, make("code", {}, `?${parameter.name}=`)), make("td", {}, words(parameter.schema, document)), make("td", {}, parameter.description ?? "")));
  return make(
    "section", { id: given.operationId },
    make("h2", {}, make("span", { class: "method" }, method.toUpperCase()), path),
    make("p", {}, given.summary ?? ""),
    ...(parameters.length ? [make("table", {}, ...parameters)] : []),
    ...bodies,
    details("Answers", [make("table", {}, ...Object.entries(given.responses).map((entry) => response(entry, document)))]),
  );
}

async function draw() {
  const place = document.getElementById("operations");
  try {
    const answer = await fetch("openapi.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const api = await answer.json();
    document.getElementById("introduction").replaceChildren(...prose(api.info.description));
    const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, given]) => operation(path, method, given, api)));
    const schemas = Object.entries(api.components.schemas).map(([name, schema]) =>
      make("section", { id: name }, make("h2", {}, name), make("p", {}, schema.description ?? ""), ...properties(schema, api)));
    place.replaceChildren(...operations, make("h3", {}, "What the answers hold"), ...schemas);
  } catch (error) {
    place.textContent = `/openapi.json could not be read (${error.message}): reload the page.`;
  }
}

draw();

// Gives the visitor files.

import { bytes } from "./pixels.js";

const XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/** Have the browser save a blob under a name. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // some browsers begin later
}

/** Have it save a workbook that is given in base64. */
export function downloadBook(workbook, name) {
  download(new Blob([bytes(workbook)], { type: XLSX }), name);
}

/** A text as the name of a file, without its ending. */
export function fileNameOf(text, otherwise) {
  return text.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase() || otherwise;
}

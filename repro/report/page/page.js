"use strict";
const table = document.getElementById("rows");
const body = table.tBodies[0];
const rows = Array.from(body.rows);
const find = document.getElementById("find");
const verdict = document.getElementById("verdict");
const shown = document.getElementById("shown");

function sortKey(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.sort ?? cell.textContent.trim();
  const number = Number(text);
  return text === "" || Number.isNaN(number) ? text : number;
}

function compare(a, b) {
  if (a === "" || b === "") return (a === "") - (b === "");
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortBy(header) {
  const column = header.cellIndex;
  const descending = header.getAttribute("aria-sort") === "ascending";
  for (const other of header.parentNode.cells) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  rows.sort((a, b) => {
    const [first, second] = [sortKey(a, column), sortKey(b, column)];
    const order = compare(first, second);
    // Rows without a number stay last in either direction.
    return first === "" || second === "" || !descending ? order : -order;
  });
  body.append(...rows);
}

function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let number = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    const fits = words.every((word) => text.includes(word))
      && (!verdict.value || row.dataset.verdict === verdict.value);
    row.hidden = !fits;
    number += fits;
  }
  shown.value = number === rows.length ? `${number} rows` : `${number} of ${rows.length} rows`;
}

function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") target.open = true;
}

for (const button of table.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.parentNode));
}
find.addEventListener("input", filter);
verdict.addEventListener("change", filter);
find.form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", openTarget);
// On paper nothing can be opened.
let closed = [];
addEventListener("beforeprint", () => {
  closed = Array.from(document.querySelectorAll("details:not([open])"));
  for (const part of closed) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of closed) part.open = false;
});
openTarget();

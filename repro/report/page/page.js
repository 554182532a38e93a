"use strict";
const table = document.getElementById("rows");
const body = table.tBodies[0];
const rows = Array.from(body.rows);
const find = document.getElementById("find");
const verdict = document.getElementById("verdict");
const attention = document.getElementById("attention");
const shown = document.getElementById("shown");

function sortKey(row, column) {
  if (column === 0) return Number(row.dataset.n);
  const cell = row.cells[column];
  const text = (cell.querySelector(".m") ?? cell).textContent.trim();
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
      && (!verdict.value || row.dataset.verdict === verdict.value)
      && (!attention?.checked || row.classList.contains("bad"));
    row.hidden = !fits;
    number += fits;
  }
  const of = number === rows.length ? "" : `${number} of `;
  shown.value = `${of}${rows.length} case${rows.length === 1 ? "" : "s"}`;
}

function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName !== "DETAILS") return;
  for (let outer = target; outer; outer = outer.parentNode.closest("details")) outer.open = true;
  target.scrollIntoView();
}

for (const button of table.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.parentNode));
}
find.addEventListener("input", filter);
verdict.addEventListener("change", filter);
find.form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", openTarget);
// Where a row is no row any more, each cell says of which column it is.
// A rule for each column: an attribute of each cell would take half a second of many rows.
const titles = Array.from(table.tHead.rows[0].cells, (header) => header.textContent.trim());
document.head.appendChild(document.createElement("style")).textContent = titles
  .map((title, n) => `#rows td:nth-child(${n + 1}) { --title: ${JSON.stringify(title)}; }`)
  .join("");
function addCopier(code) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copier";
  button.textContent = "copy";
  code.after(" ", button);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(code);
    }
  });
}
// Most cases are never opened: they get their buttons when they are.
document.addEventListener("toggle", (event) => {
  const code = event.target.open && event.target.querySelector("dd > code:only-child");
  if (code) addCopier(code);
}, true);
for (const code of document.querySelectorAll(".case[open] dd > code:only-child")) addCopier(code);
const numbered = new Map(rows.map((row) => [row.dataset.n, row]));
document.addEventListener("click", (event) => {
  const row = numbered.get(event.target.dataset?.case);
  if (row) location.hash = row.querySelector("a").hash;
});
// What a point stands for is said when somebody points at it.
document.addEventListener("mouseover", (event) => {
  const point = event.target;
  const row = numbered.get(point.dataset?.case);
  if (!row || point.firstChild) return;
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  const share = point.dataset.share;
  title.textContent = row.querySelector("a").textContent + (share ? `: ${share} of the tolerance` : "");
  point.append(title);
});
attention?.addEventListener("change", filter);
filter();
openTarget();

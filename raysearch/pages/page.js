// Sorts a table by the column of a heading that is clicked; cells without a value stay last.
for (const button of document.querySelectorAll("table.sortable thead button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement;
    const column = heading.cellIndex;
    const body = heading.closest("table").tBodies[0];
    const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const key = (row) => row.cells[column].dataset.key;
    const compare = (one, other) => {
      const [a, b] = [key(one), key(other)];
      if (a === "" || b === "") return (a === "") - (b === "");
      const difference = Number(a) - Number(b);
      return sign * (Number.isNaN(difference) ? a.localeCompare(b) : difference);
    };
    body.append(...[...body.rows].sort(compare));
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  });
}

// Where brushes are set, the table has what they keep, and a line says so.
const chosen = document.getElementById("chosen");
listeners.push((trials) => {
  const rows = [...document.querySelectorAll("tr[data-trial]")];
  for (const row of rows) row.hidden = trials !== null && !trials.has(row.dataset.trial);
  if (!chosen) return;
  chosen.hidden = trials === null;
  const count = trials === null ? 0 : trials.size;
  chosen.querySelector("span").textContent = `${count} of ${Object.keys(DATA.trials).length} trials are between the brushes.`;
});
if (chosen) chosen.querySelector("button").addEventListener("click", () => keep(null));

// Pointing at a row of the table shows its trial in all charts.
for (const row of document.querySelectorAll("tr[data-trial]")) {
  row.addEventListener("pointerenter", () => focus(Number(row.dataset.trial)));
  row.addEventListener("pointerleave", () => focus(null));
}

// A chart as a file of its own, with the colours that it has now
function save(figure) {
  const svg = figure.querySelector("svg");
  const copy = svg.cloneNode(true);
  const [own, copies] = [[...svg.querySelectorAll("*")], [...copy.querySelectorAll("*")]];
  const style = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-weight", "font-family", "paint-order"];
  own.forEach((element, place) => {
    const found = getComputedStyle(element);
    for (const name of style) copies[place].style.setProperty(name, found.getPropertyValue(name));
  });
  copy.setAttribute("xmlns", NS);
  copy.style.background = getComputedStyle(document.body).backgroundColor;
  const link = html("a");
  link.href = URL.createObjectURL(new Blob([copy.outerHTML], { type: "image/svg+xml" }));
  link.download = `${document.title.split(" ")[0]}-${figure.dataset.chart}.svg`;
  link.click();
}

// Draws all charts, and again when the page changes its width or its colours.
const redraws = [];
for (const figure of document.querySelectorAll("figure[data-chart]")) {
  const spec = DATA.charts[figure.dataset.chart];
  const place = figure.querySelector(".chart");
  const key = figure.querySelector(".key");
  for (const layer of spec.layers || []) {
    if (!layer.name || layer.kind === "rule") continue;
    const sign = html("i", `sign ${layer.mark || layer.kind}`);
    sign.style.setProperty("--c", `var(--${layer.colour})`);
    key.append(html("span", "", sign, layer.name));
  }
  const button = html("button", "save", "SVG");
  button.type = "button";
  button.title = "save this chart as an SVG file";
  button.addEventListener("click", () => save(figure));
  figure.append(button);
  const draw = spec.kind === "parallel" ? parallel(place, spec) : plot(place, spec);
  let width = 0;
  const fit = () => {
    if (place.clientWidth === width) return;
    width = place.clientWidth;
    draw();
  };
  redraws.push(draw);
  fit();
  new ResizeObserver(fit).observe(place);
}
dark.addEventListener("change", () => {
  marks.clear();
  for (const draw of redraws) draw();
});

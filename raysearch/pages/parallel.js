// Parallel coordinates: a line a trial through all axes; a brush on an axis keeps what it covers.
// On a narrow page the axes lie below one another.
const LIGHT = ["#3b0f55", "#3e4a89", "#26828e", "#35b779", "#a5c93a"];
const BRIGHT = ["#f6e620", "#6dcd59", "#1f9e89", "#3e7ab0", "#7b62b0"];

function tint(share) {
  const stops = dark.matches ? BRIGHT : LIGHT;
  const at = share * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  const part = (text, place) => parseInt(text.slice(place, place + 2), 16);
  const mixed = [1, 3, 5].map((place) => {
    const [one, two] = [part(stops[low], place), part(stops[low + 1], place)];
    return Math.round(one + (two - one) * (at - low));
  });
  return `rgb(${mixed.join(",")})`;
}

function parallel(place, spec) {
  const brushes = new Map();
  const choose = () => {
    if (!brushes.size) return keep(null);
    const inside = ([, shares]) =>
      [...brushes].every(([axis, [low, high]]) => shares[axis] >= low && shares[axis] <= high);
    keep(new Set([...spec.lines, ...spec.others].filter(inside).map(([trial]) => String(trial))));
  };
  const draw = () => {
    const width = place.clientWidth || 1000;
    const upright = width / spec.axes.length >= 74;
    const height = upright ? 400 : 64 * spec.axes.length + 14;
    const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
    const lay = upright ? columns(width, height, spec) : rows(width, spec);
    lines(svg, spec, lay);
    spec.axes.forEach((axis, index) => rule(svg, axis, index, lay, brushes, choose));
    place.replaceChildren(svg);
    tidy();
  };
  listeners.push((trials) => {
    if (trials !== null || !brushes.size) return;
    brushes.clear();
    draw();
  });
  return draw;
}

// Where a share of an axis lies: axes side by side, or below one another.
function columns(width, height, spec) {
  const step = Math.min((width - 110) / Math.max(spec.axes.length - 1, 1), 240);
  const [top, bottom] = [72, height - 44];
  return {
    upright: true, room: step - 6, length: bottom - top,
    at: (index, share) => [46 + index * step, bottom - share * (bottom - top)],
    share: (x, y) => (bottom - y) / (bottom - top),
  };
}

function rows(width, spec) {
  const [left, right] = [52, width - 26];
  return {
    upright: false, room: width - 10, length: right - left,
    at: (index, share) => [left + share * (right - left), 30 + index * 64],
    share: (x) => (x - left) / (right - left),
  };
}

function lines(svg, spec, lay) {
  const hits = [];
  const count = spec.lines.length;
  const group = make("g", { class: count > 150 ? "many" : "" });
  [...spec.lines].reverse().forEach(([trial, shares, rank]) => {
    const points = shares.map((share, index) => lay.at(index, share));
    const path = points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
    const line = make("path", { d: path, class: rank < 0.1 ? "way best" : "way", style: `stroke:${tint(rank)}` });
    group.append(mark(line, trial));
    points.forEach(([x, y], index) => {
      hits.push({ x, y, trial });
      const [a, b] = points[index + 1] || [x, y];
      for (const part of [0.25, 0.5, 0.75]) hits.push({ x: x + (a - x) * part, y: y + (b - y) * part, trial });
    });
  });
  svg.append(group);
  hover(svg, hits, 14);
}

function rule(svg, axis, index, lay, brushes, choose) {
  const [[x, y], [a, b]] = [lay.at(index, 0), lay.at(index, 1)];
  const g = make("g", { class: axis.goal ? "rule goal" : "rule" });
  g.append(make("path", { d: `M${x},${y}L${a},${b}`, class: "axis" }));
  for (const [share, text] of axis.ticks) {
    const [p, q] = lay.at(index, share);
    const d = lay.upright ? `M${p - 4},${q}h8` : `M${p},${q - 4}v8`;
    g.append(make("path", { d, class: "axis" }));
    const where = lay.upright ? { x: p + 7, y: q + 4 } : { x: p, y: q + 17, "text-anchor": "middle" };
    g.append(label(text, lay.upright ? lay.room - 12 : lay.length / axis.ticks.length, { ...where, class: "tick halo" }));
  }
  if (axis.absent !== undefined) {
    const [p, q] = lay.at(index, axis.absent);
    const where = lay.upright ? { x: p, y: q + 14, "text-anchor": "middle" } : { x: Math.max(p, 24), y: q + 30, "text-anchor": "middle" };
    g.append(make("circle", { cx: p, cy: q, r: 2.5, class: "absent" }), make("text", { ...where, class: "tick" }, "unused"));
  }
  names(g, axis, index, lay);
  svg.append(g);
  brush(svg, g, index, lay, brushes, choose);
}

// The name of an axis on up to four lines, broken at its dots and strokes.
function names(g, axis, index, lay) {
  if (!lay.upright) {
    const [, y] = lay.at(index, 1);
    g.append(label(axis.name, lay.room, { x: 4, y: y - 12, class: "name halo" }));
    return;
  }
  const found = [""];
  for (const part of axis.name.split(/(?<=[./_])|(?=\[)|(?= [(↑↓])/)) {
    if ((found.at(-1) + part).length * 7.3 > lay.room && found.at(-1)) found.push("");
    found[found.length - 1] += part;
  }
  const shown = found.length > 4 ? ["…", ...found.slice(-3)] : found;
  const [x, y] = lay.at(index, 1);
  const text = make("text", { "text-anchor": "middle", class: "name" }, make("title", {}, axis.name));
  shown.forEach((line, at) => {
    const place = { x, y: y - 12 - 13 * (shown.length - 1 - at) };
    text.append(make("tspan", place, elided(line.trim(), lay.room + 6, 7)));
  });
  g.append(text);
}

function brush(svg, g, index, lay, brushes, choose) {
  const [[x, y], [a, b]] = [lay.at(index, 0), lay.at(index, 1)];
  const box = lay.upright
    ? { x: x - 13, y: b - 6, width: 26, height: y - b + 12 }
    : { x: x - 6, y: y - 13, width: a - x + 12, height: 26 };
  const ground = make("rect", { ...box, class: "handle", tabindex: 0, "data-axis": index });
  ground.append(make("title", {}, "draw along the axis to keep what is between; a click lets go"));
  const cover = make("rect", { class: "brush" });
  const show = () => {
    const own = brushes.get(index);
    cover.style.display = own ? "" : "none";
    if (!own) return;
    const [[p, q], [r, s]] = [lay.at(index, own[0]), lay.at(index, own[1])];
    const place = lay.upright ? { x: x - 7, y: s, width: 14, height: q - s } : { x: p, y: y - 7, width: r - p, height: 14 };
    for (const [name, value] of Object.entries(place)) cover.setAttribute(name, value);
  };
  let from = null;
  const at = (event) => {
    const frame = svg.getBoundingClientRect();
    return Math.min(Math.max(lay.share(event.clientX - frame.left, event.clientY - frame.top), -0.25), 1.05);
  };
  ground.addEventListener("pointerdown", (event) => {
    from = at(event);
    event.preventDefault();
    event.stopPropagation();
    if (event.isTrusted) ground.setPointerCapture(event.pointerId);
  });
  const move = (event) => {
    if (from === null) return;
    const to = at(event);
    hush();
    if (Math.abs(to - from) * lay.length < 4) brushes.delete(index);
    else brushes.set(index, [Math.min(from, to), Math.max(from, to)]);
    show();
    choose();
  };
  ground.addEventListener("pointermove", move);
  ground.addEventListener("pointerup", (event) => {
    move(event);
    from = null;
  });
  g.append(cover, ground);
  show();
}

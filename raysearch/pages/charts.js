"use strict";
// Draws the charts of a page as SVG from the data in it: scales, axes, marks, hover, zoom.
const DATA = JSON.parse(document.getElementById("data").textContent);
const NS = "http://www.w3.org/2000/svg";
const dark = matchMedia("(prefers-color-scheme: dark)");

function make(tag, attributes, ...children) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function html(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

// Numbers and names

function brief(value, digits = 3) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-4) return value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(Number(value.toPrecision(digits)));
}

function elided(text, room, letter = 6.3) {
  const most = Math.max(3, Math.floor(room / letter));
  if (text.length <= most) return text;
  const tail = Math.floor((most - 1) / 2);
  return `${text.slice(0, most - 1 - tail)}…${text.slice(text.length - tail)}`;
}

// Text of at most so many pixels; all of it is shown when the pointer rests on it.
function label(text, room, attributes) {
  const short = elided(text, room);
  const element = make("text", attributes, short);
  if (short !== text) element.append(make("title", {}, text));
  return element;
}

// Scales: `zoom` is the part of an axis that is shown, in the axis' own numbers

function ends(axis) {
  return axis.kind === "choice" ? [axis.low - 0.5, axis.high + 0.5] : [axis.low, axis.high];
}

function scale(axis, zoom, from, to) {
  const bend = axis.kind === "log" ? Math.log : (value) => value;
  const back = axis.kind === "log" ? Math.exp : (value) => value;
  const [low, high] = zoom.map(bend);
  const length = high - low || 1;
  const at = (value) => from + ((bend(value) - low) / length) * (to - from);
  at.back = (place) => back(low + ((place - from) / (to - from)) * length);
  return at;
}

function ticks(axis, [low, high], most) {
  if (axis.kind === "choice") {
    const every = Math.max(1, Math.ceil((high - low) / most));
    return axis.choices.map((text, at) => [at, text]).filter(([at]) => at >= low && at <= high && at % every === 0);
  }
  if (axis.kind === "log") {
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    if (last - first >= 1) {
      const every = Math.ceil((last - first + 1) / most);
      return [...Array(last - first + 1).keys()].filter((at) => at % every === 0).map((at) => spelt(10 ** (first + at)));
    }
  }
  const rough = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = power * ([1, 2, 5].find((each) => each * power >= rough) || 10);
  if (axis.whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + 1e-9 * step; at++) found.push(spelt(at * step));
  return found;
}

function spelt(value) {
  return [value, brief(value, 6)];
}

// What the pointer is at, and which trials a brush has left

const marks = new Map();
const listeners = [];
let kept = null;

function mark(element, trial) {
  if (trial === null || trial === undefined) return element;
  if (!marks.has(trial)) marks.set(trial, new Set());
  marks.get(trial).add(element);
  element.classList.add("m");
  element.dataset.t = trial;
  if (kept && !kept.has(String(trial))) element.classList.add("off");
  return element;
}

function keep(trials) {
  kept = trials;
  for (const [trial, own] of marks)
    for (const element of own) element.classList.toggle("off", kept !== null && !kept.has(String(trial)));
  for (const listener of listeners) listener(kept);
}

// Lets go of marks that were drawn anew.
function tidy() {
  for (const own of marks.values()) for (const element of own) if (!element.isConnected) own.delete(element);
}

let near = null;
function focus(trial) {
  if (near === trial) return;
  for (const element of marks.get(near) || []) element.classList.remove("on");
  near = trial;
  for (const element of marks.get(near) || []) element.classList.add("on");
  document.body.classList.toggle("pointing", near !== null);
}

const tip = html("div", "tip");
tip.setAttribute("role", "status");
document.body.append(tip);

function row(name, value) {
  return html("div", "", html("span", "", name), html("b", "", value));
}

function tell(hit, event) {
  const known = DATA.trials[hit.trial];
  tip.replaceChildren();
  if (known) {
    tip.append(html("strong", "", known.n), html("em", `state ${known.s}`, known.s));
    if (hit.text) tip.append(row(hit.text[0], hit.text[1]));
    known.v.forEach((value, place) => tip.append(row(DATA.goals[place], value)));
    if (known.took) tip.append(row("took", known.took));
    const own = known.p.map((value, place) => [DATA.names[place], value]).filter(([, value]) => value !== "");
    if (own.length) tip.append(html("hr"));
    for (const [name, value] of own.slice(0, 12)) tip.append(row(elided(name, 240), elided(value, 190)));
    if (own.length > 12) tip.append(html("p", "", `and ${own.length - 12} more`));
    if (known.why) tip.append(html("p", "", elided(known.why, 1100)));
  } else {
    tip.append(html("strong", "", hit.name || ""));
    if (hit.text) tip.append(row(hit.text[0], hit.text[1]));
  }
  tip.classList.add("shown");
  const [w, h] = [tip.offsetWidth, tip.offsetHeight];
  const left = event.clientX + 16 + w > innerWidth ? event.clientX - w - 16 : event.clientX + 16;
  tip.style.left = `${Math.max(6, Math.min(left, innerWidth - w - 6))}px`;
  tip.style.top = `${Math.max(6, Math.min(event.clientY + 14, innerHeight - h - 6))}px`;
}

function hush() {
  tip.classList.remove("shown");
  focus(null);
}

addEventListener("scroll", hush, { passive: true });
document.addEventListener("pointerdown", (event) => event.target.closest("svg") || hush());

// Shows what is nearest to the pointer: `hits` are places with a trial or a name.
function hover(svg, hits, reach) {
  const find = (event) => {
    const box = svg.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const best = { hit: null, far: reach };
    for (const hit of hits) {
      if (kept && DATA.trials[hit.trial] && !kept.has(String(hit.trial))) continue;
      const aside = hit.wide ? Math.max(0, hit.x - x, x - hit.x - hit.wide) : hit.x - x;
      const far = Math.hypot(aside, hit.y - y);
      if (far < best.far) Object.assign(best, { hit, far });
    }
    if (best.hit === null) return hush();
    focus(best.hit.trial ?? null);
    tell(best.hit, event);
  };
  svg.addEventListener("pointermove", (event) => event.buttons || find(event));
  svg.addEventListener("pointerdown", find);
  svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hush());
}

// Marks of points, around 0

const SHAPES = {
  diamond: "M0,-4.6L4.6,0L0,4.6L-4.6,0Z",
  cross: "M-3.4,-3.4L3.4,3.4M-3.4,3.4L3.4,-3.4",
  triangle: "M0,-4L4,3.4L-4,3.4Z",
  square: "M-3.3,-3.3H3.3V3.3H-3.3Z",
  star: "M0,-8L2.1,-2.6L7.6,-2.5L3.3,1L4.7,6.5L0,3.4L-4.7,6.5L-3.3,1L-7.6,-2.5L-2.1,-2.6Z",
};

function shape(kind, x, y, small) {
  const place = `translate(${x.toFixed(1)},${y.toFixed(1)})`;
  const radius = { r: small ? 2.3 : 3.6 };
  if (!SHAPES[kind]) return make("circle", { ...radius, transform: place, class: `mark ${kind}` });
  return make("path", { d: SHAPES[kind], transform: place, class: `mark ${kind}` });
}

// How each sort of layer is drawn: into `g`, with scales x and y, leaving `hits`

const LAYERS = {
  points(layer, g, { x, y, foot, hits, clamp }) {
    for (const [a, b, trial] of layer.data) {
      const [px, py] = [x(a), b === null ? foot : y(clamp(b))];
      const point = shape(layer.mark, px, py, layer.data.length > 300);
      g.append(mark(point, trial));
      hits.push({ x: px, y: py, trial, name: layer.name });
    }
  },
  line(layer, g, { x, y, hits, names }) {
    let path = "";
    layer.data.forEach(([a, b, trial], place) => {
      path += place === 0 ? `M${x(a)},${y(b)}` : layer.step ? `H${x(a)}V${y(b)}` : `L${x(a)},${y(b)}`;
      hits.push({ x: x(a), y: y(b), trial, name: layer.name, text: said(names, a, b) });
    });
    g.append(make("path", { d: path, class: `line ${layer.dash ? "dash" : ""}` }));
  },
  curves(layer, g, { x, y, hits, names }) {
    for (const [trial, points] of layer.data) {
      const path = points.map(([a, b], place) => `${place ? "L" : "M"}${x(a).toFixed(1)},${y(b).toFixed(1)}`).join("");
      g.append(mark(make("path", { d: path, class: `curve ${layer.bold ? "best" : layer.faint ? "faint" : ""}` }), trial));
      const [a, b] = points[points.length - 1];
      if (layer.dots) g.append(mark(shape("dot", x(a), y(b), true), trial));
      for (const [c, d] of points) hits.push({ x: x(c), y: y(d), trial, text: said(names, c, d) });
    }
  },
  rule(layer, g, { y, left, right, hits }) {
    g.append(make("path", { d: `M${left},${y(layer.at)}H${right}`, class: "line dash" }));
    g.append(label(layer.name, right - left, { x: right - 4, y: y(layer.at) - 4, class: "note", "text-anchor": "end" }));
    hits.push({ x: left, wide: right - left, y: y(layer.at), name: layer.name, text: ["", brief(layer.at, 4)] });
  },
  levels(layer, g, { x, y }) {
    for (const [a, b] of layer.data) g.append(make("path", { d: `M${x(a - 0.3)},${y(b)}H${x(a + 0.3)}`, class: "line thick" }));
  },
  bands(layer, g, { x, top, bottom }) {
    for (const [a, b] of layer.data)
      g.append(make("rect", { x: x(a), width: Math.max(x(b) - x(a), 1), y: top, height: bottom - top, class: "band" }));
  },
  parts(layer, g, { y, left, right }) {
    for (const at of layer.data) g.append(make("path", { d: `M${left},${y(at)}H${right}`, class: "axis" }));
  },
  bars(layer, g, { x, y, hits }) {
    const height = Math.min(Math.abs(y(1) - y(0)) * 0.74, 20);
    for (const [a, b, lane, trial, said] of layer.data) {
      const [left, wide] = [x(a), Math.max(x(b) - x(a), 1.5)];
      const bar = make("rect", { x: left, y: y(lane) - height / 2, width: wide, height, rx: 2, class: "span" });
      g.append(mark(bar, trial));
      if (wide > 7 * String(trial).length + 6)
        g.append(make("text", { x: left + wide / 2, y: y(lane) + 3.5, class: "inside", "text-anchor": "middle" }, String(trial)));
      hits.push({ x: left, wide, y: y(lane), trial, text: said });
    }
  },
};

function said(names, a, b) {
  return [`${names[0]} ${brief(a, 5)}`, brief(b, 4)];
}

// A chart with two axes

function plot(place, spec) {
  const full = [ends(spec.x), ends(spec.y)];
  let zoom = full;
  const again = html("button", "again", "whole chart");
  again.type = "button";
  again.addEventListener("click", () => show(null));
  const show = (domains) => {
    zoom = domains || full;
    draw();
  };
  const draw = () => {
    const width = place.clientWidth || 520;
    const lanes = spec.y.kind === "choice" ? 24 * (spec.y.high + 1) + 62 : 0;
    const height = lanes || Math.max(190, Math.min(340, width * (spec.small ? 0.72 : 0.62)));
    const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
    paint(svg, spec, zoom, width, height, show);
    again.hidden = zoom === full;
    place.replaceChildren(svg, again);
    tidy();
  };
  return draw;
}

function paint(svg, spec, zoom, width, height, show) {
  const rows = ticks(spec.y, zoom[1], height / 44);
  const room = Math.min(Math.max(...rows.map(([, text]) => text.length), 1) * 6.6 + 10, width * 0.34);
  const under = spec.foot ? 22 : 0;
  const [left, right, top, bottom] = [room, width - (spec.ends ? 68 : 12), 26, height - 40 - under];
  const [x, y] = [scale(spec.x, zoom[0], left, right), scale(spec.y, zoom[1], bottom, top)];
  axes(svg, spec, zoom, rows, { x, y, left, right, top, bottom, under });
  const clip = `clip-${(clips += 1)}`;
  svg.append(make("clipPath", { id: clip }, make("rect", { x: left - 5, y: top - 5, width: right - left + 10, height: bottom - top + 10 + under })));
  const inside = make("g", { "clip-path": `url(#${clip})` });
  svg.append(inside);
  const all = [];
  const clamp = (value) => Math.min(Math.max(value, spec.y.low), spec.y.high);
  const foot = bottom + 13;
  for (const layer of spec.layers) {
    const g = make("g", { class: "layer", style: `--c:var(--${layer.colour})` });
    const names = [spec.x.label, spec.y.label];
    LAYERS[layer.kind](layer, g, { x, y, left, right, top, bottom, foot, hits: all, names, clamp });
    inside.append(g);
  }
  if (spec.ends) tags(svg, spec.ends, { x, y, right, top, bottom });
  const hits = all.filter((hit) => hit.x + (hit.wide || 0) >= left - 5 && hit.x <= right + 5 && hit.y >= top - 5 && hit.y <= foot + 8);
  hover(svg, hits, 26);
  drag(svg, [left, right, top, bottom], (a, b, c, d) => {
    const [one, two] = [[x.back(a), x.back(b)], [y.back(d), y.back(c)]];
    show([one, spec.y.kind === "choice" ? zoom[1] : two]);
  });
  svg.addEventListener("dblclick", () => show(null));
}
let clips = 0;

function axes(svg, spec, zoom, rows, { x, y, left, right, top, bottom, under }) {
  for (const [at, text] of rows) {
    if (spec.y.kind !== "choice") svg.append(make("path", { d: `M${left},${y(at)}H${right}`, class: "grid" }));
    svg.append(label(text, left - 8, { x: left - 7, y: y(at) + 4, class: "tick", "text-anchor": "end" }));
  }
  const columns = ticks(spec.x, zoom[0], Math.max(2, (right - left) / (spec.x.kind === "choice" ? 48 : 66)));
  const wide = (right - left) / Math.max(columns.length, 1);
  for (const [at, text] of columns) {
    const anchor = x(at) > right - 14 && text.length > 3 ? "end" : "middle";
    svg.append(make("path", { d: `M${x(at)},${bottom + under}v4`, class: "axis" }));
    svg.append(label(text, wide, { x: x(at), y: bottom + under + 17, class: "tick", "text-anchor": anchor }));
  }
  svg.append(make("path", { d: `M${left},${bottom + under}H${right}`, class: "axis" }));
  if (under) svg.append(make("path", { d: `M${left},${bottom + 3}H${right}`, class: "axis dash" }));
  svg.append(label(spec.y.label, right - 4, { x: 2, y: 13, class: "name" }));
  const name = spec.x.label + (spec.x.kind === "log" ? " (log)" : "");
  svg.append(label(name, right - left, { x: right, y: bottom + under + 34, class: "name", "text-anchor": "end" }));
}

// Names of the best at the ends of their curves, none on another
function tags(svg, found, { x, y, right, top, bottom }) {
  const places = found.map(([text, a, b, colour, trial]) => ({ text, a, at: y(b), want: y(b), colour, trial }));
  places.sort((one, other) => one.at - other.at);
  places.forEach((each, index) => (each.at = Math.max(each.at, index ? places[index - 1].at + 13 : top)));
  for (let index = places.length - 1, low = bottom; index >= 0; index--, low = places[index + 1].at - 13)
    places[index].at = Math.min(places[index].at, low);
  for (const each of places) {
    const end = Math.min(x(each.a), right);
    svg.append(make("path", { d: `M${end + 3},${each.want}L${right + 4},${each.at}`, class: "lead" }));
    const attributes = { x: right + 7, y: each.at + 4, class: "tag", style: `--c:var(--${each.colour})` };
    svg.append(mark(label(each.text, 62, attributes), each.trial));
  }
}

// Zooms into what the mouse is drawn over; a finger scrolls the page as ever.
function drag(svg, [left, right, top, bottom], then) {
  let from = null;
  const frame = make("rect", { class: "frame" });
  const inside = (event) => {
    const box = svg.getBoundingClientRect();
    return [
      Math.min(Math.max(event.clientX - box.left, left), right),
      Math.min(Math.max(event.clientY - box.top, top), bottom),
    ];
  };
  const corners = (event) => {
    const [x, y] = inside(event);
    return [Math.min(from[0], x), Math.max(from[0], x), Math.min(from[1], y), Math.max(from[1], y)];
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch" || event.button !== 0) return;
    from = inside(event);
    event.preventDefault();
    if (event.isTrusted) svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!from) return;
    hush();
    const [a, b, c, d] = corners(event);
    for (const [name, value] of Object.entries({ x: a, y: c, width: b - a, height: d - c })) frame.setAttribute(name, value);
    svg.append(frame);
  });
  svg.addEventListener("pointerup", (event) => {
    if (!from) return;
    const found = corners(event);
    from = null;
    frame.remove();
    if (found[1] - found[0] > 6 && found[3] - found[2] > 6) then(...found);
  });
}

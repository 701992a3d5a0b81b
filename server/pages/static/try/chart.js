// A bar chart of billed, paid and owed over time, in SVG; its numbers are in a table beside it.
// https://www.w3.org/WAI/tutorials/images/complex/

import { money } from "./records.js";

const SVG = "http://www.w3.org/2000/svg";
export const SERIES = [
  ["billed", "Billed"],
  ["paid", "Plan paid"],
  ["owed", "Your share"],
];
const HEIGHT = 260;
const MARGIN = { top: 12, right: 4, bottom: 44, left: 52 };
const compact = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", notation: "compact", maximumFractionDigits: 1 });

function shape(tag, attributes, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

/** Three to five round steps that reach the highest value. */
function steps(highest) {
  const rough = Math.max(highest, 100) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
  const count = Math.max(1, Math.ceil(highest / step));
  return Array.from({ length: count + 1 }, (_, index) => index * step);
}

/** Draw the sums into a container, anew whenever its width changes. `summary` is what the picture says in a sentence. */
export function drawChart(container, sums, summary) {
  const draw = () => {
    const width = Math.max(container.clientWidth, 240);
    container.replaceChildren(picture(sums, summary, width));
  };
  draw();
  let drawn = container.clientWidth;
  new ResizeObserver(() => {
    if (container.clientWidth === drawn) return;
    drawn = container.clientWidth;
    draw();
  }).observe(container);
}

function picture(sums, summary, width) {
  const svg = shape("svg", { role: "img", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, class: "chart" });
  svg.setAttribute("aria-label", summary);
  const ticks = steps(Math.max(...sums.flatMap((one) => SERIES.map(([name]) => one[name]))));
  const top = ticks.at(-1);
  const [innerWidth, innerHeight] = [width - MARGIN.left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom];
  const y = (cents) => MARGIN.top + innerHeight * (1 - cents / top);
  for (const tick of ticks) {
    svg.append(shape("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick), class: tick ? "grid" : "axis" }));
    svg.append(shape("text", { x: MARGIN.left - 8, y: y(tick) + 4, class: "tick end" }, compact.format(tick / 100)));
  }
  const slot = innerWidth / sums.length;
  const bar = Math.min((slot * 0.78) / SERIES.length, 22);
  const every = Math.ceil(34 / slot); // a label needs about this much room
  const turn = sums.findIndex((one) => one.year !== sums[0].year);
  const crowded = turn > 0 && turn * slot < 40; // the first year's label makes room for the second's
  sums.forEach((one, index) => {
    const middle = MARGIN.left + slot * (index + 0.5);
    const group = shape("g", {});
    group.append(shape("title", {}, `${one.label}: ${SERIES.map(([name, label]) => `${label} ${money(one[name])}`).join(", ")}`));
    SERIES.forEach(([name], number) => {
      if (!one[name]) return;
      const height = Math.max(y(0) - y(one[name]), 2); // something is never nothing
      const x = middle + (number - SERIES.length / 2) * bar;
      group.append(shape("rect", { x: x + 0.5, y: y(0) - height, width: bar - 1, height, rx: Math.min(2, bar / 4), class: `bar ${name}` }));
    });
    svg.append(group);
    if (index % every === 0) svg.append(shape("text", { x: middle, y: HEIGHT - MARGIN.bottom + 18, class: "tick middle" }, one.short));
    if ((index === 0 || one.year !== sums[index - 1].year) && one.short !== String(one.year)) {
      const aside = crowded && index === 0;
      const place = { x: aside ? middle + 3 : middle, y: HEIGHT - MARGIN.bottom + 36, class: `tick year ${aside ? "end" : "middle"}` };
      svg.append(shape("text", place, String(one.year)));
    }
  });
  return svg;
}

"use strict";
// Draws every figure in the colors the page has right now, and again when light turns dark.
const figures = JSON.parse(document.getElementById("figures").textContent);
const variable = /^var\((--[a-z0-9-]+)\)$/;

function resolved(value, style) {
  if (typeof value === "string") {
    const name = variable.exec(value);
    return name ? style.getPropertyValue(name[1]).trim() : value;
  }
  if (Array.isArray(value)) return value.map((item) => resolved(item, style));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item, style)]));
}

function draw() {
  const style = getComputedStyle(document.documentElement);
  for (const [name, figure] of Object.entries(figures)) {
    const { data, layout } = resolved(figure, style);
    Plotly.react(`plot-${name}`, data, layout, { displayModeBar: false, responsive: true });
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();

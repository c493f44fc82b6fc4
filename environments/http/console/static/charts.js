// Draws what an element's data-chart address returns: times in epoch seconds, and series with label, unit, values.
"use strict";

const COLOURS = ["#2f7ed8", "#d9822b", "#2f9e5b", "#a24bb5", "#c0392b", "#5f6f7e"];

async function draw(element) {
  const answer = await fetch(element.dataset.chart);
  if (!answer.ok) return;
  const { times, series } = (await answer.json()).data;
  const ink = getComputedStyle(element).color;
  const units = [...new Set(series.map((one) => one.unit))];
  const axis = { stroke: ink, grid: { stroke: "#8884", width: 1 }, ticks: { stroke: "#8884" } };
  const options = {
    width: element.clientWidth || 800,
    height: 280,
    scales: Object.fromEntries(units.map((unit) => [unit, {}])),
    axes: [{ ...axis }, ...units.map((unit, at) => (
      { ...axis, scale: unit, label: unit, side: at % 2 ? 1 : 3, grid: { show: at === 0, stroke: "#8884" } }))],
    series: [{}, ...series.map((one, at) => ({
      label: `${one.label}, ${one.unit}`, scale: one.unit, stroke: one.colour || COLOURS[at % COLOURS.length],
      width: 1.5, dash: one.dashed ? [6, 4] : undefined, spanGaps: false,
      paths: one.stepped === false ? undefined : uPlot.paths.stepped({ align: 1 }),
    }))],
  };
  const plot = new uPlot(options, [times, ...series.map((one) => one.values)], element);
  new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: 280 })).observe(element);
}

document.querySelectorAll("[data-chart]").forEach(draw);

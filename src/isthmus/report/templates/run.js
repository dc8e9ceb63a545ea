"use strict";
(() => {
  const root = document.documentElement;
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const elements = [...document.querySelectorAll(".plot")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = () => root.clientWidth < 560;
  const waiting = new Set(elements);
  const chosen = {};
  let ready = false, printing = false;

  // Colours are names of the style sheet's, under keys that speak of colour.
  function coloured(value, styles, inColour) {
    if (typeof value === "string") {
      return (inColour && styles.getPropertyValue("--" + value).trim()) || value;
    }
    if (Array.isArray(value)) return value.map((v) => coloured(v, styles, inColour));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(
        ([k, v]) => [k, coloured(v, styles, /color$|colorscale$/.test(k))]));
    }
    return value;
  }

  // The traces of a cloud of points, in the colours that the reader chose.
  function cloud(c, which) {
    const by = c.colourings[which];
    const base = { type: "scatter", mode: "markers" };
    const points = (keep) => ({
      x: c.x.filter((_, k) => keep(k)), y: c.y.filter((_, k) => keep(k)),
      customdata: c.rows.map((r, k) => [r, by.names ? by.names[by.codes[k]] : by.values[k]])
        .filter((_, k) => keep(k)),
    });
    const hover = "%{customdata[0]}<br>" + by.title + ": %{customdata[1]}<extra></extra>";
    if (by.names) {
      return by.names.map((name, j) => ({
        ...base, ...points((k) => by.codes[k] === j), name, hovertemplate: hover,
        marker: { color: "c" + j % c.n_colours, symbol: c.symbols[j % c.symbols.length], size: 7, opacity: 0.8 },
      }));
    }
    return [{
      ...base, ...points(() => true), name: by.title, hovertemplate: hover, showlegend: false,
      marker: {
        color: by.values.map((v) => v === null ? by.low : v), cmin: by.low, cmax: by.high,
        colorscale: c.scale, size: 7, opacity: 0.85, showscale: true,
        colorbar: { title: { text: by.title, side: "right", font: { size: 12 } }, thickness: 12, outlinewidth: 0, exponentformat: "power" },
      },
    }];
  }

  const titled = (axis, size) => ({ ...axis, title: { ...axis.title, font: { size } } });
  function figure(element) {
    const chart = charts[element.dataset.chart];
    const styles = getComputedStyle(root);
    const data = chart.cloud ? cloud(chart.cloud, chosen[element.dataset.chart] || 0) : chart.data;
    const axis = { exponentformat: "power", gridcolor: "rule", linecolor: "rule", zeroline: false, automargin: false, fixedrange: !chart.cloud || !matchMedia("(pointer: fine)").matches };
    const size = narrow() ? 11 : 12.5;
    const layout = {
      ...chart.layout,
      height: chart.height,
      autosize: !printing,
      font: { family: getComputedStyle(document.body).fontFamily, size, color: "soft" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      // fixed, because margins that follow the legend while it follows them may not settle
      margin: { l: 62, r: 12, t: 12, b: 48, pad: 2, ...chart.layout.margin },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size, color: "ink" } },
      hoverlabel: { bgcolor: "panel", bordercolor: "rule", font: { color: "ink" } },
      hovermode: "closest",
      dragmode: chart.cloud && matchMedia("(pointer: fine)").matches ? "zoom" : false,
      xaxis: titled({ ...axis, ...chart.layout.xaxis }, size),
      yaxis: titled({ ...axis, ...chart.layout.yaxis }, size),
    };
    if (printing) { // a page of paper is about 700 pixels wide
      layout.width = element.closest(".charts")?.children.length > 1 ? 325 : 660;
      layout.height = 0.85 * chart.height;
      element.style.height = layout.height + "px";
    } else {
      element.style.height = chart.height + "px";
    }
    return [coloured(data, styles, false), coloured(layout, styles, false)];
  }

  function draw(element) {
    waiting.delete(element);
    const config = { displayModeBar: false, responsive: !printing, showTips: false };
    Plotly.react(element, ...figure(element), config);
  }
  function redraw() {
    if (!ready) return;
    for (const element of elements) {
      if (printing || !waiting.has(element)) draw(element);
    }
  }

  // What is in view first, the rest when there is nothing else to do.
  function begin() {
    ready = true;
    const later = window.requestIdleCallback || ((f) => setTimeout(f, 30));
    const next = () => {
      const [element] = waiting;
      if (!element) return root.classList.add("drawn");
      draw(element);
      later(next);
    };
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        if (waiting.has(entry.target)) draw(entry.target);
      }
    }, { rootMargin: "200px" });
    elements.forEach((element) => seen.observe(element));
    later(next);
  }

  async function unpack() {
    const packed = document.getElementById("plotly");
    const text = atob(packed.textContent);
    const bytes = new Uint8Array(text.length);
    for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    packed.remove();
    begin();
  }

  for (const select of document.querySelectorAll("select[data-for]")) {
    select.addEventListener("change", () => {
      chosen[select.dataset.for] = Number(select.value);
      if (ready) draw(document.getElementById("plot-" + select.dataset.for));
    });
  }
  function print(on) {
    printing = on;
    root.classList.toggle("printing", on); // which is always light
    redraw();
  }
  dark.addEventListener("change", redraw);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  if (typeof DecompressionStream === "undefined") {
    document.getElementById("no-charts").hidden = false;
  } else {
    // After the first paint: the words are what is read first.
    addEventListener("load", () => requestAnimationFrame(() => setTimeout(unpack)));
  }
})();

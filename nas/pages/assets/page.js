// Draws the figures of the page, sorts its tables, and shows the network that is chosen. Texts are set as text only.
(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const networks = new Map(data.networks.map((network) => [network.key, network]));
  const figures = new Map(data.figures.map((figure) => [figure.name, figure]));
  const tip = document.getElementById("tip");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const symbols = {
    answer: "star", front: "circle", known: "diamond", published: "square-open", start: "triangle-up",
    done: "circle", stopped: "circle-open", failed: "x", best: "circle", other: "circle-open",
  };
  let chosen = data.beside;

  function make(tag, text, className) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  }

  function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }

  // The library reads a few tags in texts; a name is no markup.
  function plain(text, most = 34) {
    const short = String(text);
    return (short.length > most ? short.slice(0, most - 1) + "…" : short)
      .replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  // ---- figures -------------------------------------------------------------------------------------------------

  function bars(middle, low, high, hue) {
    if (!low.length) return undefined;
    return {
      type: "data", symmetric: false, color: hue, thickness: 1, width: 0,
      array: high.map((value, i) => Math.max(0, value - middle[i])),
      arrayminus: low.map((value, i) => Math.max(0, middle[i] - value)),
    };
  }

  function faded(hue, share) {
    const parts = hue.match(/^#(..)(..)(..)$/);
    if (!parts) return hue;
    return "rgba(" + parts.slice(1).map((part) => parseInt(part, 16)).join(",") + "," + share + ")";
  }

  function traceOf(series, many, names) {
    const hue = color(series.role);
    const base = { name: plain(series.name), hoverinfo: "none", type: "scatter" };
    if (series.form === "bars") {
      return Object.assign(base, {
        type: "bar", orientation: "h", x: series.x, y: series.y.map((name) => names.indexOf(name)), marker: { color: hue },
        error_x: bars(series.x, series.left, series.right, color("ink")),
      });
    }
    const faint = faded(hue, series.role === "answer" ? 0.8 : 0.28);
    const trace = Object.assign(base, {
      x: series.x, y: series.y, mode: "markers",
      marker: {
        color: hue, symbol: symbols[series.role],
        size: series.role === "answer" && series.x.length < 20 ? 15 : many ? 5 : series.role === "front" ? 6 : 8,
        opacity: many ? 0.6 : 1, line: { width: 1, color: series.role === "published" ? hue : color("surface") },
      },
      error_y: bars(series.y, series.low, series.high, faint),
      error_x: bars(series.x, series.left, series.right, faint),
    });
    if (series.form === "line") {
      const marks = series.x.length <= 400 && !series.step;
      trace.mode = marks ? "lines+markers" : "lines";
      trace.marker.symbol = "circle";
      trace.marker.size = 6;
      trace.line = { color: hue, width: series.x.length > 400 ? 1 : 2, shape: series.step ? "hv" : "linear" };
      trace.opacity = series.x.length > 400 && !series.step ? 0.45 : 1;
      trace.connectgaps = false;
    }
    return trace;
  }

  function axisOf(axis, whole, extra) {
    return Object.assign({
      title: { text: plain(axis.title, 80), standoff: 8, font: { size: 12 } }, type: axis.log ? "log" : undefined,
      rangemode: axis.zero ? "tozero" : "normal", gridcolor: color("shade-line"), linecolor: color("line"),
      tickcolor: color("line"), ticks: "outside", zeroline: false, automargin: true, fixedrange: true,
      nticks: 9, range: axis.shown && !whole ? axis.shown.map((end) => axis.log ? Math.log10(end) : end) : undefined,
      autorange: axis.shown && !whole ? false : undefined, exponentformat: "none",
    }, extra);
  }

  function logTicks(values) {
    const known = values.filter((value) => value > 0);
    const low = Math.min(...known), high = Math.max(...known);
    const steps = high / low > 60 ? [1, 3] : high / low > 8 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.log10(high) + 1; power++) {
      for (const step of steps) {
        const tick = step * Math.pow(10, power);
        if (tick >= low * 0.9 && tick <= high * 1.1) ticks.push(tick);
      }
    }
    return { tickvals: ticks, ticktext: ticks.map((tick) => (+tick.toPrecision(3)).toLocaleString("en-US")) };
  }

  // What stands on the axis of bars.
  function namesOf(figure) {
    return [...new Set(figure.series.flatMap((series) => series.form === "bars" ? series.y : []))];
  }

  function layoutOf(figure, wide, tall, whole) {
    const narrow = wide < 500, isBars = figure.series.some((series) => series.form === "bars");
    const names = namesOf(figure);
    const longest = Math.max(0, ...names.map((name) => Math.min(name.length, 34)));
    const gutter = Math.min(16 + 6.6 * longest, wide * 0.5);
    const shapes = [], annotations = [];
    const all = (key) => figure.series.flatMap((series) => series[key]).filter((value) => typeof value === "number");
    for (const [low, high] of figure.bands) {
      shapes.push({
        type: "rect", xref: "paper", x0: 0, x1: 1, y0: low, y1: high, layer: "below",
        fillcolor: faded(color("answer"), 0.1), line: { width: 0 },
      });
    }
    for (const [x, label] of figure.lines) {
      const at = figure.x.log ? Math.log10(x) : x;
      shapes.push({
        type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: color("soft"), width: 1, dash: "dot" },
      });
      annotations.push({
        x: at, yref: "paper", y: 1, yanchor: "bottom", text: plain(label), showarrow: false,
        font: { size: 11, color: color("soft") },
      });
    }
    if (figure.diagonal) {
      const values = [...all("x"), ...all("y")];
      const ends = [Math.min(...values), Math.max(...values)];
      shapes.push({
        type: "line", x0: ends[0], y0: ends[0], x1: ends[1], y1: ends[1], layer: "below",
        line: { color: color("soft"), width: 1 },
      });
    }
    const counted = (values) => values.length && values.every(Number.isInteger) && Math.max(...values) - Math.min(...values) <= 12;
    const ends = (axis, key, low, high) => !axis.log ? (counted(all(key)) ? { dtick: 1 } : {})
      : logTicks(axis.shown && !whole ? axis.shown : [...all(key), ...all(low), ...all(high)]);
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("ink") },
      margin: { l: isBars ? gutter : narrow ? 44 : 58, r: 16, t: figure.lines.length ? 26 : 14, b: 46 },
      xaxis: axisOf(figure.x, whole, ends(figure.x, "x", "left", "right")),
      yaxis: axisOf(figure.y, whole, isBars ? {
        range: [names.length - 0.4, -0.6], showgrid: false, automargin: false, ticks: "",
        tickvals: names.map((name, i) => i), ticktext: names.map((name) => plain(name)),
      }
        : ends(figure.y, "y", "low", "high")),
      showlegend: figure.series.length > 1,
      legend: { orientation: "h", y: -52 / (tall - 60), yanchor: "top", x: 0, font: { size: 12 } },
      hovermode: "closest", dragmode: false, shapes, annotations, bargap: 0.25, barmode: "group",
    };
  }

  function shownFigure(figure) {
    if (!figure.compared || !networks.size) return figure;
    const other = networks.get(chosen);
    const part = other ? other[figure.compared] : [];
    const series = [figure.series[0]];
    if (part.length && other.key !== data.networks[0].key) {
      series.push(Object.assign({}, figure.series[0], {
        name: other.name, role: "known", x: part.map((one) => one[1]), y: part.map((one) => one[0]),
        texts: part.map((one) => one[0] + ": " + one[1].toFixed(3) + " ms"),
      }));
    }
    return Object.assign({}, figure, { series });
  }

  function draw(place) {
    const figure = shownFigure(figures.get(place.dataset.figure));
    const count = figure.series.reduce((sum, series) => sum + series.y.length, 0);
    const names = namesOf(figure);
    const traces = figure.series.map((series) => traceOf(series, count > 600, names));
    const height = 90 + Math.max(3, names.length) * (figure.series.length > 1 ? 30 : 24);
    place.classList.toggle("tall", names.length > 0);
    const layout = layoutOf(figure, place.clientWidth, names.length ? height : place.clientHeight, place.dataset.whole === "yes");
    if (names.length) layout.height = height;
    place.shown = figure;
    place.at = null;
    Plotly.react(place, traces, layout, { displayModeBar: false, responsive: true });
    if (!place.listens) listen(place);
  }

  function listen(place) {
    place.listens = true;
    place.on("plotly_hover", (event) => {
      const point = event.points[0];
      const box = point.bbox || { x0: event.event.offsetX, x1: event.event.offsetX, y0: event.event.offsetY, y1: event.event.offsetY };
      showTip(place, point.curveNumber, point.pointNumber, box);
    });
    place.on("plotly_unhover", hideTip);
    place.on("plotly_click", (event) => pick(place, event.points[0].curveNumber, event.points[0].pointNumber));
    place.addEventListener("keydown", (event) => onKey(place, event));
    place.addEventListener("blur", () => { place.at = null; hideTip(); });
  }

  function showTip(place, curve, point, box) {
    const text = place.shown.series[curve].texts[point];
    if (!text) return hideTip();
    tip.textContent = text;
    tip.hidden = false;
    const frame = place.getBoundingClientRect();
    const x = frame.left + window.scrollX + (box.x0 + box.x1) / 2, y = frame.top + window.scrollY + box.y1 + 12;
    const width = document.documentElement.clientWidth;
    tip.style.left = Math.max(8, Math.min(x + 12, width - tip.offsetWidth - 8)) + "px";
    const above = frame.top + window.scrollY + box.y0 - tip.offsetHeight - 12;
    const below = y + tip.offsetHeight < window.scrollY + window.innerHeight;
    tip.style.top = (below ? y : above) + "px";
  }

  function hideTip() {
    tip.hidden = true;
  }

  // Where a point is in its figure, in pixels.
  function placeOf(place, curve, point) {
    const layout = place._fullLayout, series = place.shown.series[curve];
    const y = series.form === "bars" ? namesOf(place.shown).indexOf(series.y[point]) : series.y[point];
    const at = (axis, value) => axis._offset + axis.d2p(value);
    return { x: at(layout.xaxis, series.x[point]), y: at(layout.yaxis, y) };
  }

  // Points that are seen are walked in the order of x (bars: of their places), series by series.
  function walk(place) {
    const points = [];
    const isSeen = (axis, pixel) => pixel >= axis._offset - 1 && pixel <= axis._offset + axis._length + 1;
    place.shown.series.forEach((series, curve) => {
      const own = series.y.map((y, i) => i).filter((i) => {
        if (series.x[i] === null || series.y[i] === null) return false;
        const at = placeOf(place, curve, i);
        return isSeen(place._fullLayout.xaxis, at.x) && isSeen(place._fullLayout.yaxis, at.y);
      });
      if (series.form === "points") own.sort((a, b) => series.x[a] - series.x[b]);
      own.forEach((i) => points.push([curve, i]));
    });
    return points;
  }

  function onKey(place, event) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const points = walk(place);
    if (event.key === "Escape") { place.at = null; return hideTip(); }
    if (event.key === "Enter" && place.at !== null) return pick(place, ...points[place.at]);
    const ends = { Home: 0, End: points.length - 1 };
    if (!points.length || !(event.key in steps || event.key in ends)) return undefined;
    event.preventDefault();
    if (event.key in ends) place.at = ends[event.key];
    else if (place.at === null) place.at = 0;
    else place.at = (place.at + steps[event.key] + points.length) % points.length;
    const [curve, point] = points[place.at];
    const at = placeOf(place, curve, point);
    const box = { x0: at.x, x1: at.x, y0: at.y, y1: at.y };
    mark(place, box);
    showTip(place, curve, point, box);
    return undefined;
  }

  // A ring around the point that the keyboard is at.
  function mark(place, box) {
    let ring = place.querySelector(".ring");
    if (!ring) {
      ring = make("div", undefined, "ring");
      ring.style.cssText = "position:absolute;width:18px;height:18px;border-radius:50%;pointer-events:none;border:2px solid";
      place.querySelector(".plot-container").style.position = "relative";
      place.querySelector(".plot-container").append(ring);
      place.addEventListener("blur", () => ring.remove());
    }
    ring.style.left = box.x0 - 9 + "px";
    ring.style.top = box.y0 - 9 + "px";
    ring.style.borderColor = color("focus");
  }

  // A figure that shows a part at first has a button for the whole.
  function prepareWhole() {
    document.querySelectorAll(".whole").forEach((button) => {
      const place = document.getElementById(button.getAttribute("aria-controls"));
      button.addEventListener("click", () => {
        const whole = place.dataset.whole !== "yes";
        place.dataset.whole = whole ? "yes" : "no";
        button.setAttribute("aria-pressed", String(whole));
        draw(place);
      });
    });
  }

  function pick(place, curve, point) {
    const keys = place.shown.series[curve].keys;
    if (keys.length && networks.has(keys[point])) choose(keys[point]);
  }

  // ---- networks ------------------------------------------------------------------------------------------------

  function barOf(share, largest) {
    const bar = make("span", undefined, "bar");
    const own = make("i");
    own.style.width = (largest ? Math.min(100, 100 * share / largest) : 0) + "%";
    bar.append(own);
    return bar;
  }

  function percent(share) {
    return share === null ? "–" : (100 * share).toFixed(1) + " %";
  }

  function drawNetwork(place, network, level) {
    place.replaceChildren();
    const title = make(level, network.name);
    if (network.role === "answer") title.append(make("span", "the answer", "source"));
    const facts = make("dl", undefined, "facts");
    for (const [label, value, source] of network.facts) {
      const fact = make("div");
      const shown = make("dd", value + " ");
      if (source) shown.append(make("span", source, "source source-" + source));
      fact.append(make("dt", label), shown);
      facts.append(fact);
    }
    place.append(title, facts);
    if (network.missing) place.append(make("p", network.missing, "note"));
    if (network.fixed) place.append(make("p", network.fixed, "note"));
    const largest = Math.max(0, ...network.stages.map((stage) => stage.share || 0));
    network.stages.forEach((stage, number) => place.append(drawStage(stage, number + 1, largest)));
  }

  function drawStage(stage, number, largest) {
    const box = make("details", undefined, "stage");
    const head = make("summary");
    const count = stage.blocks.length;
    const inner = make("span");
    inner.append(make("span", count + (count === 1 ? " layer" : " layers") + (stage.share === null ? "" : " · " + percent(stage.share) + " of the time"), "note"));
    if (stage.share !== null) inner.append(barOf(stage.share, largest));
    inner.lastChild.style.display = "block";
    head.append(make("b", stage.title), inner, make("span", stage.share === null ? "" : stage.ms));
    const region = make("div", undefined, "scroll");
    region.tabIndex = 0;
    region.setAttribute("role", "region");
    region.setAttribute("aria-label", "Layers at " + stage.title);
    const table = make("table");
    const titles = ["block", "width", "kernel", "expansion", "SE", "activation", "time", "params", "MACs"];
    const row = make("tr");
    titles.forEach((title, i) => {
      const cell = make("th", title, i && i !== 5 && i !== 4 ? "numeric" : "");
      cell.scope = "col";
      row.append(cell);
    });
    const body = make("tbody");
    const most = Math.max(0, ...stage.blocks.map((block) => block.share || 0));
    for (const block of stage.blocks) {
      const line = make("tr");
      const name = make("th", block.block + (block.more ? " (" + block.more + ")" : ""));
      name.scope = "row";
      line.append(name);
      for (const key of ["width", "kernel", "expansion"]) line.append(make("td", block[key], "numeric"));
      line.append(make("td", block.se), make("td", block.act));
      const share = make("td", percent(block.share), "numeric");
      if (block.share !== null) share.append(barOf(block.share, most));
      line.append(share);
      for (const key of ["params", "macs"]) line.append(make("td", block[key], "numeric"));
      body.append(line);
    }
    const headings = make("thead");
    headings.append(row);
    table.append(headings, body);
    region.append(table);
    box.append(head, region);
    return box;
  }

  function choose(key) {
    chosen = key;
    const select = document.getElementById("choose");
    if (!select) return;
    select.value = key;
    drawNetwork(document.getElementById("network-beside"), networks.get(key), "h3");
    document.querySelectorAll("tr[data-key]").forEach((row) => row.classList.toggle("chosen", row.dataset.key === key));
    document.querySelectorAll(".plot").forEach((place) => {
      if (place.shown && figures.get(place.dataset.figure).compared) draw(place);
    });
  }

  function prepareNetworks() {
    const select = document.getElementById("choose");
    if (!select || !data.networks.length) return;
    for (const network of data.networks) {
      const option = make("option", network.name + (network.role === "answer" ? " (the answer)" : ""));
      option.value = network.key;
      select.append(option);
    }
    drawNetwork(document.getElementById("network-answer"), data.networks[0], "h3");
    document.getElementById("network-beside").className = "network-beside";
    select.addEventListener("change", () => choose(select.value));
    if (!networks.has(chosen)) chosen = data.networks[0].key;
    choose(chosen);
  }

  // ---- tables --------------------------------------------------------------------------------------------------

  function sortBy(table, column) {
    const heading = table.tHead.rows[0].cells[column];
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => {
      const cell = row.cells[column];
      return cell.dataset.sort === undefined ? null : Number(cell.dataset.sort);
    };
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === null && y === null) return (up ? 1 : -1) * a.cells[column].textContent.localeCompare(b.cells[column].textContent);
      if (x === null || y === null) return x === null ? 1 : -1;
      return (up ? 1 : -1) * (x - y);
    });
    table.tBodies[0].append(...rows);
  }

  function prepareTables() {
    document.querySelectorAll("main table[id]").forEach((table) => {
      table.querySelectorAll("thead .sort").forEach((button, column) => {
        button.addEventListener("click", () => sortBy(table, column));
      });
      table.querySelectorAll("tr[data-key]").forEach((row) => {
        if (!networks.has(row.dataset.key)) return;
        const name = row.cells[table.id === "networks" ? 0 : 1];
        const button = make("button", name.textContent, "pick");
        button.type = "button";
        button.addEventListener("click", () => choose(row.dataset.key));
        if (name.tagName === "TH") name.replaceChildren(button);
        if (row.dataset.key === chosen) row.classList.add("chosen");
      });
    });
  }

  prepareTables();
  prepareWhole();
  prepareNetworks();
  // The first figure is drawn at once, the others where they are looked at, or when there is nothing else to do.
  const places = [...document.querySelectorAll(".plot")];
  const drawn = (place) => { if (!place.shown) draw(place); };
  const rest = () => {
    const next = places.find((place) => !place.shown);
    if (next) { draw(next); later(rest); } else document.documentElement.dataset.drawn = "yes";
  };
  const later = (work) => (window.requestIdleCallback || window.setTimeout)(work);
  places.slice(0, 1).forEach(drawn);
  places.forEach((place) => place.addEventListener("focus", () => drawn(place)));
  window.addEventListener("beforeprint", () => places.forEach(drawn));
  dark.addEventListener("change", () => places.filter((place) => place.shown).forEach(draw));
  document.documentElement.dataset.ready = "yes";
  later(rest);
})();

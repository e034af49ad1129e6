// A network from afar: its encoder on the left, its decoder on the right, a row for a resolution.
const BOX = {width: 156, gap: 46, line: 14, pad: 8, glyph: 15, margin: 1};

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, given] of Object.entries(attributes)) made.setAttribute(name, given);
  made.append(...children);
  return made;
}

// Words in lines that fit a box.
function wrapped(words) {
  return words.flatMap((word) => {
    const rows = [""];
    for (const part of word.split(" ")) {
      const last = rows[rows.length - 1];
      if (last && (last + part).length > 23) rows.push(part);
      else rows[rows.length - 1] = last ? `${last} ${part}` : part;
    }
    return rows;
  });
}

function boxHeight(stage) {
  const glyphs = stage.layers.length ? Math.ceil(stage.layers.length / 8) * 22 + 2 : 0;
  return 2 * BOX.pad + 15 + wrapped(stage.holds).length * BOX.line + glyphs;
}

// A transformer layer: its token mixer above its MLP, hollow where it was left out.
function layerGlyph(gate, x, y) {
  const part = (kept, top) => svg("rect", {x, y: top, width: 11, height: 8, rx: 1.5,
    fill: kept ? COLOURS.front : "white", stroke: COLOURS.front, "stroke-width": 1});
  return svg("g", {}, part(gate === "both" || gate === "mixer", y),
    part(gate === "both" || gate === "mlp", y + 10));
}

function stageBox(stage, x, y) {
  const height = boxHeight(stage);
  const group = svg("g", {}, svg("rect", {x, y, width: BOX.width, height, rx: 6, fill: "#f5f7fa",
    stroke: "#c3cad2"}));
  const text = (words, row, look) => svg("text",
    {x: x + 10, y: y + BOX.pad + 11 + row, class: look}, words);
  group.append(text(`${stage.channels} channels`, 0, "head"));
  wrapped(stage.holds).forEach((words, row) => {
    group.append(text(words, 15 + row * BOX.line, ""));
  });
  const top = y + BOX.pad + 18 + wrapped(stage.holds).length * BOX.line;
  stage.layers.forEach((gate, place) => {
    group.append(layerGlyph(gate, x + 10 + (place % 8) * BOX.glyph, top + Math.floor(place / 8) * 22));
  });
  return group;
}

function arrow(x, y, end) {
  const path = `M${x} ${y} V${end - 1} m-4 -5 l4 5 l4 -5`;
  return svg("path", {d: path, fill: "none", stroke: COLOURS.other, "stroke-width": 1.4});
}

// The stages of one resolution: those on the way down from the top, those on the way up from below.
function rowsOf(stages) {
  const divisors = [...new Set(stages.map((stage) => stage.divisor))].sort((a, b) => a - b);
  return divisors.map((divisor) => {
    const side = (name) => stages.filter((s) => s.divisor === divisor && s.side === name);
    const [down, up] = [side("down"), side("up").reverse()];
    const tall = (boxes) => boxes.reduce((sum, stage) => sum + boxHeight(stage) + 12, -12);
    return {divisor, down, up, height: Math.max(tall(down), tall(up))};
  });
}

function picture(stages) {
  const left = 34, right = left + BOX.width + BOX.gap;
  const drawing = svg("svg", {class: "picture", role: "img", "aria-label": pictureText(stages)});
  let y = BOX.margin, before = {down: null, up: null};
  for (const row of rowsOf(stages)) {
    drawing.append(svg("text", {x: 0, y: y + 19}, row.divisor === 1 ? "1" : `1/${row.divisor}`));
    const last = {...before};
    for (const [side, x] of [["down", left], ["up", right]]) {
      let top = y;
      for (const stage of row[side]) {
        if (before[side] !== null) {
          const middle = x + BOX.width / 2;
          drawing.append(side === "down" ? arrow(middle, before[side], top)
            : svg("g", {transform: `rotate(180 ${middle} ${(before[side] + top) / 2})`},
              arrow(middle, before[side], top)));
        }
        drawing.append(stageBox(stage, x, top));
        before[side] = top + boxHeight(stage);
        top = before[side] + 12;
      }
    }
    const skip = row.up.map((stage) => stage.skip).find(Boolean);
    if (skip && row.down.length) drawing.append(...crossing(left, right, y + 15, skip));
    if (last.up !== null && !row.up.length && row.down.length) {
      drawing.append(turn(left + BOX.width, y + row.height / 2, right + BOX.width / 2, last.up));
    }
    y += row.height + 24;
  }
  drawing.setAttribute("viewBox", `0 0 ${right + BOX.width + 1} ${y - 24 + 2 * BOX.margin}`);
  return drawing;
}

function crossing(left, right, y, words) {
  const start = left + BOX.width;
  return [
    svg("line", {x1: start, x2: right, y1: y, y2: y, stroke: COLOURS.other,
      "stroke-dasharray": "3 3"}),
    svg("text", {x: (start + right) / 2, y: y - 5, "text-anchor": "middle"}, words),
  ];
}

// From the deepest map to the first stage on the way up.
function turn(x, y, end, top) {
  const path = `M${x} ${y} H${end} V${top + 1} m-4 5 l4 -5 l4 5`;
  return svg("path", {d: path, fill: "none", stroke: COLOURS.other, "stroke-width": 1.4});
}

function pictureText(stages) {
  return stages.map((stage) => `${stage.name} at 1/${stage.divisor}: ${stage.channels} channels, `
    + [...stage.holds, stage.layers.length ? `layers ${stage.layers.join(", ")}` : ""]
      .filter(Boolean).join(", ")).join("; ");
}

// What stands for a network in a picture, on canvas and in the legend.
const TURN = 2 * Math.PI;

function corners(ink, x, y, points) {
  points.forEach(([dx, dy], i) => (i ? ink.lineTo(x + dx, y + dy) : ink.moveTo(x + dx, y + dy)));
  ink.closePath();
}

const STAR = Array.from({length: 10}, (_, i) => {
  const [angle, far] = [i * TURN / 10 - TURN / 4, i % 2 ? 0.5 : 1.15];
  return [far * Math.cos(angle), far * Math.sin(angle)];
});

// Each adds a mark of that radius to the path.
const MARKS = {
  dot: (ink, x, y, r) => { ink.moveTo(x + r, y); ink.arc(x, y, r, 0, TURN); },
  down: (ink, x, y, r) => corners(ink, x, y, [[-r, -0.8 * r], [r, -0.8 * r], [0, r]]),
  tick: (ink, x, y, r) => { ink.moveTo(x, y - r); ink.lineTo(x, y + r); },
  diamond: (ink, x, y, r) => corners(ink, x, y, [[0, -1.2 * r], [1.2 * r, 0], [0, 1.2 * r], [-1.2 * r, 0]]),
  square: (ink, x, y, r) => corners(ink, x, y, [[-r, -r], [r, -r], [r, r], [-r, r]]),
  star: (ink, x, y, r) => corners(ink, x, y, STAR.map(([dx, dy]) => [dx * r, dy * r])),
};

// `fill`, `line`: a colour each, or what gives that of a network; none where left out. `halo`: one
// around all marks, below them: where they are dense, no mark hides another.
function drawMarks(ink, look, places) {
  const {mark = "dot", size = 4, fill, line, halo, width = 1.3, alpha = 1} = look;
  const add = MARKS[mark];
  ink.globalAlpha = alpha;
  if (halo) {
    ink.beginPath();
    for (const {x, y} of places) add(ink, x, y, size + width / 2);
    ink.strokeStyle = halo;
    ink.lineWidth = width;
    ink.stroke();
  }
  ink.lineWidth = width;
  if (typeof fill === "function") {
    for (const {x, y, network} of places) {
      ink.beginPath();
      add(ink, x, y, size);
      ink.fillStyle = fill(network);
      ink.fill();
      if (line) { ink.strokeStyle = line; ink.stroke(); }
    }
  } else {
    ink.beginPath();
    for (const {x, y} of places) add(ink, x, y, size);
    if (fill) { ink.fillStyle = fill; ink.fill(); }
    if (line) { ink.strokeStyle = line; ink.stroke(); }
  }
  ink.globalAlpha = 1;
}

// The same mark beside its name.
function legendEntry(look, text) {
  const canvas = element("canvas", {"aria-hidden": "true", class: "mark"});
  const ink = sheet(canvas, 22, 22);
  drawMarks(ink, look, [{x: 11, y: 11, network: null}]);
  return element("li", {}, canvas, text);
}

// A canvas of that size, ready to be drawn on; as sharp as the screen is.
function sheet(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  const ink = canvas.getContext("2d");
  if (canvas.width === wide && canvas.height === high) ink.reset();  // quicker than another size
  else Object.assign(canvas, {width: wide, height: high});
  ink.setTransform(ratio, 0, 0, ratio, 0, 0);
  ink.font = `11.5px ${palette.font}`;
  ink.lineJoin = "round";
  return ink;
}

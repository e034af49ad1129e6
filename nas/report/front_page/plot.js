// A plane with points on canvas: axes, marks, the point under the pointer, and the way by keyboard.
const REACH = 16;  // pixels from a point at which it is pointed at
const LANE = 17;

// What a point is, beside the pointer or the one that the keyboard is at.
const tip = {
  box: element("div", {id: "tip", role: "tooltip", hidden: true}),
  show(lines, x, y) {
    this.box.replaceChildren(...lines.map((line, i) => element(i ? "div" : "b", {}, line)));
    this.box.hidden = false;
    const {width, height} = this.box.getBoundingClientRect();
    const right = x + 14 + width < window.innerWidth;
    this.box.style.left = `${Math.max(4, right ? x + 14 : x - 14 - width)}px`;
    this.box.style.top = `${Math.max(4, Math.min(y - height / 2, window.innerHeight - height - 4))}px`;
  },
  hide() { this.box.hidden = true; },
};

// What is chosen, and what is pointed at, in whichever picture: keys.
const selected = {chosen: null, pointed: null};
let made = 0;

class Plot {
  // `choose`: called with the key of a network that was clicked or entered; `point`: with that of
  // the one pointed at, null where there is none; `describe`: gives the lines that tell what it is.
  constructor(where, label, {choose, point, describe}) {
    Object.assign(this, {where, choose, point, describe, places: new Map(), cursor: null});
    this.base = element("canvas", {"aria-hidden": "true"});
    this.over = element("canvas", {"aria-hidden": "true"});
    const id = `point-${made += 1}`;
    this.option = element("div", {role: "option", id, "aria-selected": "false"});
    this.list = element("div", {role: "listbox", tabindex: "0", class: "points", "aria-label": label,
      "aria-activedescendant": id,
      keydown: (event) => this.key(event), focus: () => this.focus(), blur: () => this.leave(),
      pointermove: (event) => this.over_(event), pointerleave: () => this.leave(),
      click: (event) => {
        const near = !this.taken && this.nearest(event);
        if (near) choose(near.network.key);
      },
    }, this.option);
    where.append(this.base, this.over, this.list);
    where.plot = this;  // for who looks at it from outside
    new ResizeObserver(() => {
      const {clientWidth, clientHeight} = where;
      if (this.spec && (clientWidth !== this.width || clientHeight !== this.height)) this.draw(this.spec);
    }).observe(where);
  }

  // `x`, `y`: scales; `groups`: networks with a look each, and where they are; `lanes`: rows for
  // those that have no place on the second axis, of several kinds; `steps`: lines through values; `rules`: limits.
  draw(spec) {
    this.spec = spec;
    const {clientWidth: width, clientHeight: height} = this.where;
    if (!width || !height) return;  // drawn once it is shown
    const {x, y, groups, lanes = [], steps = [], rules = {}, named = []} = spec;
    const ink = sheet(this.base, width, height);
    const wide = [...y.ticks.map((tick) => tick.text), ...lanes.map((lane) => lane.name)]
      .map((text) => ink.measureText(text).width);
    const box = {left: Math.ceil(Math.max(30, ...wide) + 12), right: width - 12, top: 26,
      foot: height - 40};
    box.bottom = box.foot - LANE * lanes.length;
    const px = (value) => box.left + x.to(value) * (box.right - box.left);
    const py = (value) => box.bottom - y.to(value) * (box.bottom - box.top);
    Object.assign(this, {box, px, py, width, height, places: new Map()});
    this.axes(ink);
    ink.save();  // a front below what the picture shows would cross the lanes
    ink.beginPath();
    ink.rect(box.left, box.top - 2, box.right - box.left, box.bottom - box.top + 4);
    ink.clip();
    for (const line of steps) this.line(ink, line);
    ink.restore();
    this.limits(ink, rules);
    for (const {look, networks, at: place} of groups) {
      const here = networks.map((network) => {
        const [a, b] = place(network);
        const front = look.front || this.places.get(network.key)?.front;
        return {network, x: px(a), y: py(b), front};
      });
      drawMarks(ink, look, here);
      here.forEach((one) => this.places.set(one.network.key, one));
    }
    lanes.forEach(({kinds, at: place}, i) => kinds.forEach(({look, networks}) => {
      const middle = box.bottom + LANE * (i + 0.5);
      const all = kinds.flatMap((one) => one.networks);
      const end = all.some((network) => px(place(network)) > box.right) ? box.right - 34 : box.right;
      const here = networks.map((network) => {
        const far = px(place(network)), beyond = far > end;
        return {network, x: Math.max(box.left, beyond ? box.right - 14 : far), y: middle, low: true, beyond};
      });
      drawMarks(ink, look, here.filter((one) => !one.beyond));
      here.forEach((one) => this.places.set(one.network.key, one));
    }));
    this.beyond(ink);
    this.names(ink, named);
    this.order = [...this.places.values()].sort((a, b) => a.x - b.x || b.y - a.y);
    this.ring();
  }

  axes(ink) {
    const {box, px, py} = this;
    const {x, y, lanes = []} = this.spec;
    ink.lineWidth = 1;
    ink.strokeStyle = palette.grid;
    ink.beginPath();
    for (const {at: value} of y.ticks) ink.rect(box.left, Math.round(py(value)), box.right - box.left, 0);
    if (!x.bare) for (const {at: value} of x.ticks) ink.rect(Math.round(px(value)), box.top, 0, box.foot - box.top);
    ink.stroke();
    ink.strokeStyle = palette.line;
    ink.beginPath();
    ink.rect(box.left, box.foot, box.right - box.left, 0);
    if (lanes.length) ink.rect(box.left, box.bottom, box.right - box.left, 0);
    ink.stroke();
    ink.fillStyle = palette.soft;
    ink.textBaseline = "middle";
    ink.textAlign = "right";
    for (const {at: value, text} of y.ticks) ink.fillText(text, box.left - 8, py(value));
    lanes.forEach(({name}, i) => ink.fillText(name, box.left - 8, box.bottom + LANE * (i + 0.5)));
    ink.textAlign = "center";
    let end = -Infinity;
    for (const {at: value, text} of x.ticks) {
      const half = ink.measureText(text).width / 2, middle = Math.min(px(value), this.width - half - 2);
      if (middle - half < end + 8) continue;
      ink.fillText(text, middle, box.foot + 12);
      end = middle + half;
    }
    ink.fillStyle = palette.ink;
    ink.textAlign = "left";
    ink.fillText(y.title, 4, 11);
    const words = [x.words, x.title].find((text) => ink.measureText(text).width < box.right - box.left)
      ?? x.title;
    ink.textAlign = "center";
    ink.fillText(words, (box.left + box.right) / 2, box.foot + 30, this.width - 8);
  }

  line(ink, {points, colour, width = 1.6, stairs = false, dash = []}) {
    ink.strokeStyle = colour;
    ink.lineWidth = width;
    ink.setLineDash(dash);
    ink.beginPath();
    points.forEach(([a, b], i) => {
      const [x, y] = [this.px(a), this.py(b)];
      if (i && stairs) ink.lineTo(x, this.py(points[i - 1][1]));
      if (i) ink.lineTo(x, y); else ink.moveTo(x, y);
    });
    ink.stroke();
    ink.setLineDash([]);
  }

  limits(ink, {x, y}) {
    const {box} = this;
    ink.strokeStyle = palette.chosen;
    ink.lineWidth = 1.4;
    ink.setLineDash([5, 4]);
    ink.beginPath();
    if (x !== null && x !== undefined) { ink.moveTo(this.px(x), box.top); ink.lineTo(this.px(x), box.foot); }
    if (y !== null && y !== undefined) { ink.moveTo(box.left, this.py(y)); ink.lineTo(box.right, this.py(y)); }
    ink.stroke();
    ink.setLineDash([]);
  }

  // Of those that are larger than the picture only how many there are; the keyboard reaches each.
  beyond(ink) {
    const {box} = this;
    ink.textAlign = "right";
    ink.fillStyle = palette.soft;
    this.spec.lanes?.forEach((_, i) => {
      const middle = box.bottom + LANE * (i + 0.5);
      const far = [...this.places.values()].filter((place) => place.y === middle && place.beyond);
      if (far.length) ink.fillText(`+${far.length} →`, box.right - 2, middle);
    });
  }

  // Names beside their marks, as far as they fit without hiding each other.
  names(ink, named) {
    const names = new Set(named.map(({network}) => network.key));
    const marks = [...this.places].filter(([key, place]) => place.low || place.front || names.has(key)).map(([, place]) => place);
    const taken = marks.map(({x, y, beyond}) => ({left: x - (beyond ? 20 : 6), right: x + 6, top: y - 6}));
    ink.font = `600 11px ${palette.font}`;
    ink.textAlign = "left";
    for (const {network, text} of named) {
      const place = this.places.get(network.key);
      if (!place || place.beyond) continue;
      const wide = ink.measureText(text).width;
      const beside = [[place.x + 10, place.y - 7], [place.x - 10 - wide, place.y - 7]];
      const near = place.low ? beside : [[place.x - wide / 2, place.y - 22], [place.x - wide / 2, place.y + 9], ...beside];
      const fits = ([left, top]) => left > this.box.left && left + wide < this.width - 2
        && top > 16 && !taken.some((one) => left < one.right && left + wide > one.left
          && top < one.top + 13 && top + 13 > one.top);
      const found = near.find(fits);
      if (!found) continue;
      const [left, top] = found;
      taken.push({left: left - 3, right: left + wide + 3, top});
      ink.lineWidth = 3;
      ink.strokeStyle = palette.paper;
      ink.strokeText(text, left, top + 7);
      ink.fillStyle = palette.named;
      ink.fillText(text, left, top + 7);
    }
  }

  // Rings around the chosen network and the one that is pointed at, in whichever plane.
  ring() {
    if (!this.box) return;
    const ink = sheet(this.over, this.width, this.height);
    const {chosen, pointed} = selected;
    for (const [key, colour, radius] of [[chosen, palette.chosen, 10], [pointed, palette.ink, 10]]) {
      const place = this.places.get(key);
      if (!place) continue;
      ink.beginPath();
      ink.arc(place.x, place.y, radius, 0, TURN);
      ink.strokeStyle = colour;
      ink.lineWidth = 2.6;
      ink.stroke();
    }
  }

  nearest(event) {
    const {left, top} = this.where.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    let best = null, least = REACH;
    for (const place of this.places.values()) {
      const far = Math.hypot(place.x - x, place.y - y) - (place.front ? 2 : 0);
      if (far < least) [best, least] = [place, far];
    }
    return best;
  }

  over_(event) {
    const near = this.nearest(event);
    this.list.style.cursor = near ? "pointer" : "";
    if (near) this.tell(near); else this.leave();
  }

  tell({network, x, y}) {
    const {left, top} = this.where.getBoundingClientRect();
    tip.show(this.describe(network), left + x, top + y);
    if (selected.pointed !== network.key) this.point(network.key);
  }

  leave() {
    tip.hide();
    if (selected.pointed !== null) this.point(null);
  }

  // By Tab: at the chosen network, else at the first of the front.
  focus() {
    if (!this.order?.length || !this.list.matches(":focus-visible")) return;
    const known = this.places.get(this.cursor) ?? this.places.get(selected.chosen)
      ?? this.order.find((place) => place.front) ?? this.order[0];
    this.go(known);
  }

  go(place) {
    const [title, ...rest] = this.describe(place.network);
    this.cursor = place.network.key;
    this.option.id = `point-${made += 1}`;  // another one, or no screen reader says it
    this.list.setAttribute("aria-activedescendant", this.option.id);
    this.option.textContent = `${title}: ${rest.join(", ")}`;
    this.option.setAttribute("aria-setsize", this.order.length);
    this.option.setAttribute("aria-posinset", this.order.indexOf(place) + 1);
    this.option.setAttribute("aria-selected", String(this.cursor === selected.chosen));
    this.tell(place);
  }

  // Left and right by cost, up and down by height; with Shift along the front.
  key(event) {
    const here = this.places.get(this.cursor);
    if (!here) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.choose(this.cursor);
      return;
    }
    const along = event.key === "ArrowUp" || event.key === "ArrowDown"
      ? [...this.order].sort((a, b) => b.y - a.y || a.x - b.x) : this.order;
    const step = {ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1, PageDown: -10, PageUp: 10,
      Home: -Infinity, End: Infinity}[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const way = event.shiftKey ? along.filter((place) => place.front || place === here) : along;
    const next = Math.max(0, Math.min(way.length - 1, way.indexOf(here) + step));
    this.go(way[next]);
  }
}

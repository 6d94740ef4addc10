'use strict';
// The charts of the page, drawn as SVG when they come near the view: colours and
// fonts are the style sheet's, so they follow dark mode and print without drawing again.
(() => {
const $ = id => document.getElementById(id);
const D = JSON.parse($('data').textContent);
const NS = document.querySelector('svg.defs').namespaceURI;
const drift = D.kind === 'drift';
const tip = $('tip');
const PAIR = ['baseline', 'current'];

const svg = (tag, attrs, parent, text) => {
  const e = document.createElementNS(NS, tag);
  for (const k in attrs) e.setAttribute(k, attrs[k]);
  if (text !== undefined) e.textContent = text;
  if (parent) parent.append(e);
  return e;
};
const html = (tag, props, ...children) => {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...children);
  return e;
};
const clip = (s, n) => { const c = Array.from(s); return c.length > n ? c.slice(0, n - 1).join('') + '…' : s; };
const px = v => Math.round(v * 10) / 10;
const range = n => Array.from({length: n}, (_, i) => i);

// num writes a number as the tables do.
const num = v => {
  if (v == null) return '–';
  if (v === 0) return '0';
  const a = Math.abs(v);
  let t;
  if (a < 1e-4 || a >= 1e7) t = v.toExponential(2).replace(/\.?0*e\+?/, 'e');
  else {
    t = String(Number(v.toFixed(Math.max(3 - Math.floor(Math.log10(a)), 0))));
    if (a >= 1e4) t = t.replace(/\d(?=(\d{3})+$)/g, '$&,');
  }
  return t.replace(/^-/, '−');
};
const pct = v => v == null ? '–' : num(Number((100 * v).toPrecision(4))) + ' %';
// point writes a change of shares, in percentage points.
const point = v => (v > 0 ? '+' : v < 0 ? '−' : '±') + num(Math.abs(Number((100 * v).toPrecision(3)))) + ' points';

// ticks are about n round numbers from lo to hi.
const ticks = (lo, hi, n) => {
  const raw = (hi - lo) / n, mag = 10 ** Math.floor(Math.log10(raw));
  const step = mag * [1, 2, 2.5, 5, 10].find(m => m * mag >= raw * 0.999);
  const out = [];
  for (let i = Math.ceil(lo / step - 1e-9); i * step <= hi + step * 1e-9 && out.length < 20; i++) out.push(Number((i * step).toPrecision(12)));
  return out;
};
// axisText writes ticks with the digits that tell them apart.
const axisText = list => {
  const big = Math.max(...list.map(Math.abs));
  if (big >= 1e7 || big < 1e-3) return list.map(num);
  const step = list.length > 1 ? list[1] - list[0] : 1;
  const exponent = Math.floor(Math.log10(step) + 1e-9), quarter = Math.abs(step / 10 ** exponent - 2.5) < 1e-6;
  const digits = Math.max((quarter ? 1 : 0) - exponent, 0);
  return list.map(v => v.toLocaleString('en-US', {maximumFractionDigits: digits, useGrouping: Math.abs(v) >= 1e4}).replace('-', '−'));
};

// frame makes an empty plot with its y axis.
const frame = (fig, h, label, lo, hi, text, left) => {
  const w = Math.max(fig.clientWidth, 220), m = {l: left || 44, r: 12, t: 10, b: 34};
  const s = svg('svg', {class: 'plot', viewBox: `0 0 ${w} ${h}`, role: 'img', 'aria-label': label, tabindex: 0});
  fig.append(s);
  const y = v => m.t + (h - m.t - m.b) * (1 - (v - lo) / (hi - lo));
  if (hi > lo) {
    const list = ticks(lo, hi, 4), texts = text ? list.map(text) : axisText(list);
    list.forEach((v, i) => {
      svg('line', {class: 'rule', x1: m.l, x2: w - m.r, y1: px(y(v)), y2: px(y(v))}, s);
      svg('text', {x: m.l - 6, y: px(y(v)) + 4, 'text-anchor': 'end'}, s, texts[i]);
    });
  }
  svg('line', {class: 'axis', x1: m.l, x2: w - m.r, y1: h - m.b, y2: h - m.b}, s);
  return {s, w, h, m, y, bottom: h - m.b};
};

// spread puts texts at positions: all of them, or every second, third, ... so that none touches another.
const spread = (f, places, y) => {
  const span = ({x, text, anchor}) => {
    const width = 6.3 * Array.from(text).length;
    return anchor === 'start' ? [x, x + width] : anchor === 'end' ? [x - width, x] : [x - width / 2, x + width / 2];
  };
  const fits = list => list.every((p, i) => !i || span(p)[0] > span(list[i - 1])[1] + 8);
  places = places.filter(p => span(p)[1] <= f.w + 4 && span(p)[0] >= -4);
  let every = 1;
  const kept = () => places.filter((_, i) => i % every === 0);
  while (every < places.length && !fits(kept())) every++;
  for (const p of kept()) svg('text', {x: px(p.x), y, 'text-anchor': p.anchor || 'middle'}, f.s, p.text);
};

// explore shows what stands at a point of a chart, for the pointer and the arrow keys.
const explore = (f, n, pick, mark, text) => {
  let at = -1, cursor = null;
  const show = (i, x, y) => {
    if (i === at && cursor) { place(x, y); return; }
    hide();
    at = i;
    cursor = mark(i);
    tip.textContent = text(i);
    tip.hidden = false;
    place(x, y);
  };
  const place = (x, y) => {
    const r = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, x + 16 + r.width > innerWidth ? x - 16 - r.width : x + 16) + 'px';
    tip.style.top = Math.max(4, Math.min(y + 12, innerHeight - r.height - 4)) + 'px';
  };
  const hide = () => { if (cursor) cursor.remove(); cursor = null; tip.hidden = true; };
  const point = e => {
    const r = f.s.getBoundingClientRect(), k = f.w / r.width;
    const i = pick((e.clientX - r.left) * k, (e.clientY - r.top) * k);
    if (i >= 0 && i < n) show(i, e.clientX, e.clientY); else hide();
  };
  f.s.addEventListener('pointermove', point);
  f.s.addEventListener('pointerdown', point);
  f.s.addEventListener('pointerleave', hide);
  f.s.addEventListener('blur', hide);
  f.s.addEventListener('keydown', e => {
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -1e9, End: 1e9}[e.key];
    if (e.key === 'Escape') hide();
    if (!step || !n) return;
    e.preventDefault();
    const i = Math.min(Math.max(at < 0 && step === 1 ? 0 : at + step, 0), n - 1);
    show(i, 0, 0);
    const r = (cursor || f.s).getBoundingClientRect();
    place(r.right, r.top);
  });
};
const band = (f, x, w, y, h) => svg('rect', {class: 'hot', x: px(x), y: px(y), width: px(w), height: px(h)}, f.s);

// rows are the bins of a card, and after them what has no bin: [label, p, q, kind].
const binRows = (b, unit) => {
  const u = unit ? ' ' + unit : '';
  const rows = b.p.map((p, i) => {
    let label;
    if (b.values) label = i === b.other ? 'other' : b.values[i] === '' ? '(empty)' : b.values[i];
    else if (b.p.length === 1) label = 'all values';
    else if (i === 0) label = '≤ ' + num(b.edges[0]) + u;
    else if (i === b.p.length - 1) label = '> ' + num(b.edges[i - 1]) + u;
    else label = num(b.edges[i - 1]) + ' to ' + num(b.edges[i]) + u;
    return {label, p, q: b.q[i], own: true, other: i === b.other};
  });
  const more = (label, pair, of) => { if (pair && (pair[0] || pair[1])) rows.push({label, p: pair[0], q: pair[1], of}); };
  more('new', b.new, 'of the values, part of other');
  more('missing', b.missing, 'of all rows');
  more('invalid', b.invalid, 'of all rows');
  return rows;
};
const binText = r => `${r.label}${r.of ? ', ' + r.of : ''}\nbaseline ${pct(r.p)}\ncurrent ${pct(r.q)}\n${point(r.q - r.p)}`;

// ordinal puts hours and weekdays in their own order; other categories have none.
const WEEK = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const ordinal = rows => {
  const own = rows.filter(r => r.own && !r.other), hours = own.every(r => /^\d\d$/.test(r.label));
  if (own.length < 3 || !hours && !own.every(r => WEEK.includes(r.label))) return null;
  const rank = r => hours ? Number(r.label) : WEEK.indexOf(r.label);
  return own.slice().sort((a, b) => rank(a) - rank(b)).concat(rows.filter(r => r.own && r.other && (r.p || r.q)), rows.filter(r => !r.own));
};

const numberBars = (fig, card, rows) => {
  const edges = card.bins.edges, own = rows.filter(r => r.own), rest = rows.filter(r => !r.own);
  const top = Math.max(0.01, ...rows.map(r => Math.max(r.p, r.q))) * 1.06;
  const f = frame(fig, 220, `Shares of ${own.length} bins of ${card.name}, baseline and current`, 0, top, v => pct(v).replace(' ', ''));
  const slots = own.length + rest.length + (rest.length ? 0.6 : 0), w = (f.w - f.m.l - f.m.r) / slots;
  const left = i => f.m.l + w * (i < own.length ? i : i + 0.6);
  const bw = Math.min(w * 0.38, 34);
  rows.forEach((r, i) => {
    const mid = left(i) + w / 2;
    [r.p, r.q].forEach((v, k) => {
      if (v > 0) svg('rect', {class: k ? 'b-now' : 'b-base', x: px(mid + (k ? 0.5 : -bw - 0.5)), width: px(bw), y: px(f.y(v)), height: px(Math.max(f.bottom - f.y(v), 1))}, f.s);
    });
  });
  const places = edges ? edges.map((e, i) => ({x: left(i + 1), text: num(e)})) : own.map((r, i) => ({x: left(i) + w / 2, text: r.label}));
  if (edges) places.forEach(p => svg('line', {class: 'axis', x1: px(p.x), x2: px(p.x), y1: f.bottom, y2: f.bottom + 4}, f.s));
  spread(f, places, f.bottom + 16);
  if (rest.length) {
    const x = px(f.m.l + w * (own.length + 0.3));
    svg('line', {class: 'rule', x1: x, x2: x, y1: f.m.t, y2: f.bottom + 20}, f.s);
    if (w > 46) rest.forEach((r, i) => svg('text', {x: px(left(own.length + i) + w / 2), y: f.bottom + 16, 'text-anchor': 'middle'}, f.s, r.label));
    else svg('text', {x: f.w - f.m.r, y: f.h - 4, 'text-anchor': 'end'}, f.s, rest.map(r => r.label).join(', '));
  }
  svg('text', {x: px(f.m.l + w * own.length / 2), y: f.h - 4, 'text-anchor': 'middle'}, f.s, !edges ? 'value' : card.unit ? `edges of the drift bins, ${card.unit}` : 'edges of the drift bins');
  explore(f, rows.length, x => rows.findIndex((_, i) => x >= left(i) && x < left(i) + w), i => band(f, left(i), w, f.m.t, f.bottom - f.m.t), i => binText(rows[i]));
};

// shape draws the same values over bins of one width, from the cumulative curves.
const shape = (fig, card) => {
  const c = card.curve, lo = c.x[0], hi = c.x[c.x.length - 1], n = 32, width = (hi - lo) / n;
  const upTo = (ys, v) => { // the curve at v, after a step that stands there
    let i = 0;
    while (i < c.x.length - 1 && c.x[i + 1] <= v) i++;
    if (i === c.x.length - 1 || c.x[i + 1] === c.x[i]) return ys[i];
    return ys[i] + (ys[i + 1] - ys[i]) * (v - c.x[i]) / (c.x[i + 1] - c.x[i]);
  };
  const mass = ys => range(n).map(i => Math.max(upTo(ys, lo + (i + 1) * width) - (i ? upTo(ys, lo + i * width) : 0), 0));
  const p = mass(c.f), q = mass(c.g), f = frame(fig, 220, `Shape of ${card.name}, baseline and current`, 0, Math.max(...p, ...q) * 1.06, v => pct(v).replace(' ', ''));
  const x = v => f.m.l + (f.w - f.m.l - f.m.r) * (v - lo) / (hi - lo);
  const outline = m => 'M' + px(x(lo)) + ' ' + f.bottom + m.map((v, i) => `L${px(x(lo + i * width))} ${px(f.y(v))}L${px(x(lo + (i + 1) * width))} ${px(f.y(v))}`).join('') + `L${px(x(hi))} ${f.bottom}`;
  svg('path', {class: 'b-base', d: outline(p)}, f.s);
  svg('path', {class: 's-now', d: outline(q)}, f.s);
  valueAxis(f, card, lo, hi, x);
  explore(f, n, at => Math.floor((at - f.m.l) / (f.w - f.m.l - f.m.r) * n), i => band(f, x(lo + i * width), (f.w - f.m.l - f.m.r) / n, f.m.t, f.bottom - f.m.t),
    i => `${num(lo + i * width)} to ${num(lo + (i + 1) * width)}${card.unit ? ' ' + card.unit : ''}\nbaseline about ${pct(Number(p[i].toPrecision(2)))}\ncurrent about ${pct(Number(q[i].toPrecision(2)))}`);
};
const valueAxis = (f, card, lo, hi, x) => {
  const list = ticks(lo, hi, f.w < 330 ? 3 : 5), texts = axisText(list);
  list.forEach(v => svg('line', {class: 'axis', x1: px(x(v)), x2: px(x(v)), y1: f.bottom, y2: f.bottom + 4}, f.s));
  spread(f, list.map((v, i) => ({x: x(v), text: texts[i]})), f.bottom + 16);
  const foot = [card.curve.clip ? 'middle 99 % of the values' : '', card.unit || ''].filter(Boolean).join(', ');
  svg('text', {x: px((f.m.l + f.w - f.m.r) / 2), y: f.h - 4, 'text-anchor': 'middle'}, f.s, foot || 'value');
};

// chosen are the n rows that say most, in their order.
const chosen = (rows, n, weight) => {
  if (rows.length <= n) return rows;
  const keep = new Set(rows.map((r, i) => [weight(r), i]).sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, n).map(x => x[1]));
  return rows.filter((_, i) => keep.has(i));
};

const lines = (fig, rows, label, x, text) => { // horizontal rows, with names to their left
  const height = 21, w = Math.max(fig.clientWidth, 220);
  const name = Math.min(Math.max(...rows.map(r => Math.min(Array.from(r.label).length, 26) * 6.6), 40) + 10, w * 0.42);
  const f = {w, h: 8 + rows.length * height + 22, m: {l: px(name), r: 14, t: 4, b: 22}};
  f.s = svg('svg', {class: 'plot', viewBox: `0 0 ${w} ${f.h}`, role: 'img', 'aria-label': label, tabindex: 0});
  fig.append(f.s);
  f.bottom = f.m.t + rows.length * height + 4;
  f.x = v => f.m.l + (w - f.m.l - f.m.r) * (v - x[0]) / (x[1] - x[0]);
  f.row = i => f.m.t + i * height;
  f.height = height;
  const list = ticks(x[0], x[1], w - name < 260 ? 3 : 5), texts = text ? list.map(text) : axisText(list);
  list.forEach(v => svg('line', {class: 'rule', x1: px(f.x(v)), x2: px(f.x(v)), y1: f.m.t, y2: f.bottom}, f.s));
  spread(f, list.map((v, i) => ({x: f.x(v), text: texts[i]})), f.bottom + 14);
  rows.forEach((r, i) => svg('text', {x: f.m.l - 8, y: f.row(i) + 14, 'text-anchor': 'end', class: r.strong ? 'strong' : ''}, f.s, clip(r.label, Math.floor((name - 10) / 6.2))));
  explore(f, rows.length, (_, y) => Math.floor((y - f.m.t) / height), i => band(f, 0, w, f.row(i), height), i => rows[i].text);
  return f;
};

const categoryBars = (fig, card, rows, all, redraw) => {
  const own = rows.filter(r => r.own && !r.other), shown = all ? own : chosen(own, 8, r => Math.max(r.p, r.q) + 3 * Math.abs(r.p - r.q));
  const list = shown.concat(rows.filter(r => !r.own || r.other)).map(r => ({...r, text: binText(r)}));
  const top = Math.max(0.01, ...list.map(r => Math.max(r.p, r.q)));
  const f = lines(fig, list, `Shares of the values of ${card.name}, baseline and current`, [0, top * 1.04], v => pct(v).replace(' ', ''));
  list.forEach((r, i) => {
    if (i && list[i - 1].own && !r.own) svg('line', {class: 'axis', x1: 0, x2: f.w - f.m.r, y1: f.row(i) + 0.5, y2: f.row(i) + 0.5}, f.s);
    [r.p, r.q].forEach((v, k) => { if (v > 0) svg('rect', {class: k ? 'b-now' : 'b-base', x: f.m.l, width: px(Math.max(f.x(v) - f.m.l, 1)), y: f.row(i) + 2.5 + 8.5 * k, height: 7.5}, f.s); });
  });
  svg('line', {class: 'axis', x1: f.m.l, x2: f.m.l, y1: f.m.t, y2: f.bottom}, f.s);
  moreButton(fig, own.length - shown.length, 'values', all, redraw);
};
const moreButton = (fig, hidden, what, all, redraw) => {
  if (hidden > 0 || all) fig.append(html('button', {type: 'button', textContent: all ? 'Show fewer' : `${hidden} more ${what}`, onclick: () => redraw(!all)}));
};

const curves = (fig, card) => {
  const c = card.curve, lo = c.x[0], hi = c.x[c.x.length - 1];
  const ks = card.ks ? card.ks[0] : c.gap ? Math.abs(c.gap[1] - c.gap[2]) : 0;
  const f = frame(fig, 220, `Cumulative distributions of ${card.name}; the largest gap is ${num(ks)}${c.gap ? ' at ' + num(c.gap[0]) : ''}`, 0, 1, v => pct(v).replace(' ', ''));
  const x = v => f.m.l + (f.w - f.m.l - f.m.r) * (v - lo) / (hi - lo);
  const path = ys => c.x.map((v, i) => (i ? 'L' : 'M') + px(x(v)) + ' ' + px(f.y(ys[i]))).join('');
  valueAxis(f, card, lo, hi, x);
  svg('path', {class: 'l-now', d: path(c.g)}, f.s);
  svg('path', {class: 'l-base', d: path(c.f)}, f.s);
  if (c.gap) {
    const gx = px(x(c.gap[0])), a = f.y(c.gap[1]), b = f.y(c.gap[2]);
    svg('line', {class: 'gap', x1: gx, x2: gx, y1: px(a), y2: px(b)}, f.s);
    svg('circle', {class: 'gap-end', cx: gx, cy: px(a), r: 3}, f.s);
    svg('circle', {class: 'gap-end', cx: gx, cy: px(b), r: 3}, f.s);
    // The label stands under the curves to the right, or above them to the left.
    const right = gx < f.m.l + (f.w - f.m.l) * 0.62;
    svg('text', {class: 'gap-text', x: gx + (right ? 9 : -9), y: px(right ? Math.min(Math.max(a, b) + 15, f.bottom - 6) : Math.max(Math.min(a, b) - 8, f.m.t + 10)), 'text-anchor': right ? 'start' : 'end'}, f.s, 'K-S ' + num(ks));
  }
  const nearest = at => c.x.reduce((best, v, i) => Math.abs(x(v) - at) < Math.abs(x(c.x[best]) - at) ? i : best, 0);
  explore(f, c.x.length, nearest, i => svg('line', {class: 'cursor', x1: px(x(c.x[i])), x2: px(x(c.x[i])), y1: f.m.t, y2: f.bottom}, f.s),
    i => `${num(c.x[i])}${card.unit ? ' ' + card.unit : ''}\nbaseline ${pct(c.f[i])} at or under\ncurrent ${pct(c.g[i])}\ngap ${num(Math.abs(c.f[i] - c.g[i]))}`);
};

const at = (list, i) => list ? list.length === 1 ? list[0] : list[i] : null;
const diamond = (x, y, r) => `M${px(x)} ${px(y - r)}L${px(x + r)} ${px(y)}L${px(x)} ${px(y + r)}L${px(x - r)} ${px(y)}Z`;
const describe = (s, i) => {
  const out = [`${s.m} ${s.v[i] == null ? (s.why && s.why[i]) || 'no value' : num(s.v[i])}`];
  if (at(s.lo, i) != null) out.push(`${drift ? 'bounds' : '95 % interval'} ${num(at(s.lo, i))} to ${num(at(s.hi, i))}`);
  if (at(s.n, i) != null) out.push('null point ' + num(at(s.n, i)));
  if (at(s.over, i) != null) out.push('upper threshold ' + num(at(s.over, i)));
  if (at(s.under, i) != null) out.push('lower threshold ' + num(at(s.under, i)));
  if (at(s.base, i) != null) out.push('baseline ' + num(at(s.base, i)));
  if (s.b && s.b.includes(i)) out.push('▲ threshold breached');
  return out;
};
// extent is the range of all that a series shows, with 0 where distances are drawn.
const extent = (s, zero) => {
  const all = [s.v, s.n, s.lo, s.hi, s.over, s.under, s.base].flatMap(l => l || []).filter(v => v != null);
  if (zero || !all.length) all.push(0);
  let lo = Math.min(...all), hi = Math.max(...all);
  if (!(hi > lo)) { const pad = Math.abs(hi) * 0.1 || 1; hi += pad; if (lo !== 0) lo -= pad; }
  const pad = (hi - lo) * 0.08;
  return [lo === 0 ? 0 : lo - pad, hi + pad];
};

const seriesChart = (fig, card, s) => {
  const n = s.v.length, [lo, hi] = extent(s, drift);
  const f = frame(fig, 220, `${s.m}${card.name ? ' of ' + card.name : ''} over ${n} chunks${s.b ? `, its threshold breached in ${s.b.length}` : ''}`, lo, hi, null, 52);
  const x = i => f.m.l + (f.w - f.m.l - f.m.r) * (i + 0.5) / n;
  const step = (list, cls) => { // a level for each chunk, drawn across it
    let d = '', last = null;
    range(n).forEach(i => {
      const v = at(list, i);
      if (v != null) d += (last === null ? 'M' : 'L') + px(i ? (x(i - 1) + x(i)) / 2 : f.m.l) + ' ' + px(f.y(v)) + 'L' + px(i < n - 1 ? (x(i) + x(i + 1)) / 2 : f.w - f.m.r) + ' ' + px(f.y(v));
      last = v ?? null;
    });
    if (d) svg('path', {class: cls, d}, f.s);
    return d;
  };
  if (s.n) range(n).forEach(i => { if (at(s.n, i) != null) svg('rect', {class: 'noise', x: px(i ? (x(i - 1) + x(i)) / 2 : f.m.l), width: px((f.w - f.m.l - f.m.r) / n), y: px(f.y(at(s.n, i))), height: px(Math.max(f.y(Math.max(lo, 0)) - f.y(at(s.n, i)), 0))}, f.s); });
  if (s.lo) runs(n, i => s.lo[i] != null).forEach(r => svg('path', {class: 'band', d: 'M' + r.map(i => px(x(i)) + ' ' + px(f.y(s.hi[i]))).join('L') + 'L' + r.slice().reverse().map(i => px(x(i)) + ' ' + px(f.y(s.lo[i]))).join('L') + 'Z'}, f.s));
  step(s.n, 'null'); step(s.base, 'ref'); step(s.over, 'limit'); step(s.under, 'limit');
  runs(n, i => s.v[i] != null).forEach(r => svg('path', {class: 'series', d: 'M' + r.map(i => px(x(i)) + ' ' + px(f.y(s.v[i]))).join('L')}, f.s));
  range(n).forEach(i => {
    if (s.v[i] == null) {
      if (s.why && s.why[i]) svg('path', {class: 'pt-none', d: `M${px(x(i) - 3)} ${f.bottom - 8}l6 6m0 -6l-6 6`}, f.s);
    } else if (s.b && s.b.includes(i)) svg('path', {class: 'pt-over', d: diamond(x(i), f.y(s.v[i]), 5.5)}, f.s);
    else if (n < 80) svg('circle', {class: 'pt', cx: px(x(i)), cy: px(f.y(s.v[i])), r: 2.6}, f.s);
  });
  tags(f, [[at(s.over, 0), 'threshold', 'limit-text'], [at(s.under, 0), 'threshold', 'limit-text'], [at(s.base, 0), 'baseline', 'ref-text'], [at(s.n, 0), 'null point', 'null-text']], s.v);
  spread(f, range(n).map(i => ({x: x(i), text: clip(D.chunks[i] || '', 18)})), f.bottom + 16);
  svg('text', {x: px((f.m.l + f.w - f.m.r) / 2), y: f.h - 4, 'text-anchor': 'middle'}, f.s, 'chunk');
  explore(f, n, at => Math.min(Math.max(Math.floor((at - f.m.l) / (f.w - f.m.l - f.m.r) * n), 0), n - 1),
    i => svg('line', {class: 'cursor', x1: px(x(i)), x2: px(x(i)), y1: f.m.t, y2: f.bottom}, f.s), i => [D.chunks[i]].concat(describe(s, i)).join('\n'));
};
// runs are the stretches of neighbours that hold.
const runs = (n, holds) => {
  const out = [];
  range(n).forEach(i => { if (holds(i)) { if (i && holds(i - 1)) out[out.length - 1].push(i); else out.push([i]); } });
  return out;
};
// tags names the levels of a chart at the end where the series is farther away, where they do not touch.
const tags = (f, list, v) => {
  const taken = {start: [], end: []}, seen = v.filter(x => x != null), first = seen.slice(0, 3), last = seen.slice(-3);
  const away = (ends, level) => Math.min(...ends.map(x => Math.abs(x - level)));
  for (const [level, text, cls] of list) {
    if (level == null) continue;
    const side = !seen.length || away(first, level) >= away(last, level) ? 'start' : 'end', y = f.y(level) - 4;
    const place = [y, y + 15].find(p => p > f.m.t + 4 && p < f.bottom - 2 && taken[side].every(t => Math.abs(t - p) > 11));
    if (place === undefined) continue;
    taken[side].push(place);
    svg('text', {class: cls, x: side === 'start' ? f.m.l + 5 : f.w - f.m.r - 5, y: px(place), 'text-anchor': side}, f.s, `${text} ${num(level)}`);
  }
};

const segmentChart = (fig, s, all, redraw) => {
  let order = s.at.map((seg, i) => ({i, label: D.segments[seg], v: s.v[i]}));
  const total = order.length;
  order.sort((a, b) => (b.v ?? -Infinity) - (a.v ?? -Infinity) || a.i - b.i);
  if (!all) order = order.slice(0, 9);
  const list = order.map(o => ({...o, text: [o.label].concat(describe(s, o.i), `${num(s.rows[o.i])} rows`).join('\n')}));
  const f = lines(fig, list, `${s.m} by segment; the largest is ${list[0].label}, ${num(list[0].v)}`, extent(s, drift));
  list.forEach((o, k) => {
    const y = f.row(k) + f.height / 2, i = o.i, vertical = (v, cls) => v != null && svg('line', {class: cls, x1: px(f.x(v)), x2: px(f.x(v)), y1: f.row(k) + 1, y2: f.row(k) + f.height - 1}, f.s);
    svg('line', {class: 'rule', x1: f.m.l, x2: f.w - f.m.r, y1: y, y2: y}, f.s);
    if (at(s.n, i) != null) svg('rect', {class: 'noise', x: px(f.x(0)), width: px(Math.max(f.x(at(s.n, i)) - f.x(0), 0)), y: f.row(k) + 1, height: f.height - 2}, f.s);
    vertical(at(s.n, i), 'null'); vertical(at(s.base, i), 'ref'); vertical(at(s.over, i), 'limit'); vertical(at(s.under, i), 'limit');
    if (at(s.lo, i) != null) svg('line', {class: 'whisker', x1: px(f.x(s.lo[i])), x2: px(f.x(s.hi[i])), y1: y, y2: y}, f.s);
    if (o.v == null) svg('text', {x: f.m.l + 6, y: y + 4}, f.s, (s.why && s.why[i]) || 'no value');
    else if (s.b && s.b.includes(i)) svg('path', {class: 'pt-over', d: diamond(f.x(o.v), y, 5.5)}, f.s);
    else svg('circle', {class: 'pt', cx: px(f.x(o.v)), cy: y, r: 3.6}, f.s);
  });
  moreButton(fig, total - order.length, 'segments', all && total > 9, redraw);
};

// figure adds a chart with its caption and, where there are several metrics, a choice.
const figure = (box, title, size, options, draw, key) => {
  const fig = html('figure', {className: size}), caption = html('figcaption', {}, html('span', {textContent: title}));
  let current = 0, all = false;
  const paint = () => {
    while (fig.lastChild !== caption) fig.lastChild.remove();
    draw(fig, options && options[current], all, more => { all = more; paint(); });
  };
  if (options && options.length > 1) {
    const select = html('select', {ariaLabel: title + ': what is drawn'}, ...options.map((o, i) => html('option', {value: i, textContent: o.m})));
    const chosen = html('span', {className: 'print', textContent: options[0].m});
    select.onchange = () => { current = Number(select.value); chosen.textContent = options[current].m; paint(); };
    caption.append(select, chosen);
  } else if (options && drift && options.length) caption.append(html('span', {textContent: options[0].m}));
  if (key) caption.append(html('span', {className: 'key'}, ...PAIR.map((name, i) => html('span', {className: (i ? 'k-now' : '') + key}, html('i', {}), name))));
  fig.append(caption);
  box.append(fig);
  return paint;
};

const table = (caption, head, rows) => {
  const t = html('table', {}, html('caption', {className: 'sr', textContent: caption}), html('thead', {}, html('tr', {}, ...head.map(h => html('th', {scope: 'col', textContent: h})))));
  t.append(html('tbody', {}, ...rows.map(r => html('tr', {}, ...r.map((v, i) => html(i ? 'td' : 'th', {textContent: v, className: i ? 'num' : ''}))))));
  return html('div', {className: 'scroll'}, t);
};
const tables = card => {
  const out = [];
  if (card.bins) out.push(table('Distribution', ['bin', 'baseline', 'current', 'change'], binRows(card.bins, card.unit).map(r => [r.label, pct(r.p), pct(r.q), point(r.q - r.p)])));
  const head = list => list.map(s => s.m);
  if (card.series) out.push(table('Over chunks', ['chunk', ...head(card.series)], D.chunks.map((c, i) => [c, ...card.series.map(s => (s.b && s.b.includes(i) ? '▲ ' : '') + num(s.v[i]))])));
  if (card.segment) {
    const names = [...new Set(card.segment.flatMap(s => s.at))];
    out.push(table('By segment', ['segment', ...head(card.segment)], names.map(g => [D.segments[g], ...card.segment.map(s => { const i = s.at.indexOf(g); return i < 0 ? '' : (s.b && s.b.includes(i) ? '▲ ' : '') + num(s.v[i]); })])));
  }
  return out;
};

const drawn = new Set();
const draw = section => {
  const box = section.querySelector('.charts');
  if (!box || drawn.has(section)) return;
  drawn.add(section);
  const card = D.cards[Number(box.dataset.n)], plots = [];
  const count = [card.bins, card.curve, card.series, card.segment].filter(Boolean).length;
  const size = count === 1 ? 'two' : count === 3 ? 'third' : 'half';
  box.replaceChildren();
  if (card.bins) {
    const rows = binRows(card.bins, card.unit);
    const ordered = card.bins.values && ordinal(rows), views = card.curve ? [{m: 'drift bins'}, {m: 'shape'}] : null;
    plots.push(figure(box, 'Distribution', size, views, (fig, view, all, again) => {
      if (view && view.m === 'shape') shape(fig, card);
      else if (card.bins.values && !ordered) categoryBars(fig, card, rows, all, again);
      else numberBars(fig, card, ordered || rows);
    }, ' '));
  }
  if (card.curve) plots.push(figure(box, 'Cumulative', size, null, fig => curves(fig, card), ' k-line'));
  if (card.series) plots.push(figure(box, 'Over chunks', size, card.series, (fig, s) => seriesChart(fig, card, s)));
  if (card.segment) plots.push(figure(box, 'By segment', size, card.segment, (fig, s, all, again) => segmentChart(fig, s, all, again)));
  plots.forEach(paint => paint());
  box.style.minHeight = 0;
  const details = html('details', {className: 'more'}, html('summary', {textContent: 'The charts as tables'}));
  details.addEventListener('toggle', () => { if (details.open && details.children.length === 1) details.append(...tables(card)); });
  box.append(details);
};
const cards = [...document.querySelectorAll('.card')];
const watch = new IntersectionObserver(list => list.forEach(e => { if (e.isIntersecting) { watch.unobserve(e.target); draw(e.target); } }), {rootMargin: '800px 0px'});
cards.forEach((c, i) => { if (i < 2) draw(c); else watch.observe(c); });
// Of a small report everything is drawn soon, of a large one what comes near the view.
if (cards.length <= 40) cards.forEach((c, i) => setTimeout(() => draw(c), 20 * i));
addEventListener('beforeprint', () => cards.forEach(c => { if (!c.hidden) draw(c); }));
let width = document.body.clientWidth, timer;
addEventListener('resize', () => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    const again = [...drawn];
    drawn.clear();
    again.forEach(c => watch.observe(c));
  }, 150);
});

// Filter and sort act on the overview and on the cards alike.
const body = $('grid').tBodies[0];
const entries = [...body.rows].map((row, i) => ({
  row, i, card: cards.find(c => c.dataset.n === row.dataset.n) || null,
  text: (row.cells[0].textContent + ' ' + (drift ? row.cells[1].textContent : '')).toLowerCase(), name: row.cells[0].textContent, state: row.dataset.state, weight: Number(row.dataset.weight),
}));
const sortKeys = $('sort'), offset = document.querySelector('#sort option[value="weight"]') ? 4 : 3;
const sorted = () => {
  const by = sortKeys.value, value = e => { const v = e.row.cells[offset + Number(by)].dataset.v; return v === undefined ? -Infinity : Number(v); };
  const up = sortKeys.selectedOptions[0].text.endsWith('_p') ? -1 : 1;
  return entries.slice().sort((a, b) => {
    if (by === 'name') return a.name < b.name ? -1 : a.name > b.name ? 1 : a.i - b.i;
    if (by === 'weight') return b.weight - a.weight || a.i - b.i;
    if (by === 'rank') return a.i - b.i;
    const va = value(a), vb = value(b);
    if (va === vb) return a.i - b.i;
    return va === -Infinity ? 1 : vb === -Infinity ? -1 : up * (vb - va);
  });
};
const filter = () => {
  const words = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean), states = $('state').value.split(' ').filter(Boolean);
  let n = 0;
  for (const e of entries) {
    const show = words.every(w => e.text.includes(w)) && (!states.length || states.includes(e.state));
    e.row.hidden = !show;
    if (e.card) e.card.hidden = !show;
    n += show;
  }
  $('shown').textContent = `${n} of ${entries.length}`;
  $('nothing').hidden = n > 0 || !entries.length;
};
const reorder = () => {
  const list = sorted(), home = document.querySelector('.cards');
  body.append(...list.map(e => e.row));
  home.append(...list.map(e => e.card).filter(Boolean));
};
$('filter').addEventListener('input', filter);
$('state').addEventListener('change', filter);
sortKeys.addEventListener('change', reorder);
$('tools').addEventListener('submit', e => e.preventDefault());
$('tools').hidden = false;
filter();
})();

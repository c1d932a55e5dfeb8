// The map: sources × vectors grouped by NUMA node and device, or vectors × CPUs. One canvas, thousands of cells.
const GAP = 2;

export const colourOf = (r) => {
  if (r.storm || r.state === 'unavailable') return '--bad';
  if (r.state === 'orphaned' || r.state === 'draining') return '--orphaned';
  if (r.masked) return '--masked';
  if (!r.holders?.length) return '--free';
  return r.ivtd ? '--held' : '--kernel';
};
const heat = (rate, max) => rate > 0 ? 0.18 + 0.82 * Math.log1p(rate) / Math.log1p(max) : 0;

export class Map {
  constructor(canvas, tip, state, select) {
    Object.assign(this, { canvas, tip, state, select, cells: [] });
    canvas.addEventListener('mousemove', (e) => this.hover(e));
    canvas.addEventListener('mouseleave', () => { tip.hidden = true; });
    canvas.addEventListener('click', (e) => { const c = this.at(e.offsetX, e.offsetY); if (c) select(c.row.name); });
    canvas.addEventListener('keydown', (e) => this.key(e));
  }
  style(name) { return (this.cache[name] ??= this.css.getPropertyValue(name).trim()); }

  draw(rows) {
    this.css = getComputedStyle(document.documentElement);
    this.zoom = matchMedia('(min-width: 2200px)').matches ? 1.4 : 1; // as the text around it
    this.cache = {};
    this.cells = [];
    const width = this.canvas.clientWidth / this.zoom;
    const cpus = this.state.view === 'cpus';
    const height = cpus ? this.layoutCPUs(rows, width) : this.layoutSources(rows, width);
    const scale = devicePixelRatio || 1;
    const tall = Math.min(height * this.zoom, 8000);
    this.canvas.width = this.canvas.clientWidth * scale;
    this.canvas.height = tall * scale;
    this.canvas.style.height = tall + 'px';
    const g = this.canvas.getContext('2d');
    g.scale(scale * this.zoom, scale * this.zoom);
    g.font = '12px system-ui, sans-serif';
    g.fillStyle = this.style('--quiet');
    for (const l of this.labels) g.fillText(l.text, l.x, l.y, l.max);
    const byRate = cpus || this.state.colour === 'rate';
    let most = 1;
    for (const c of this.cells) most = Math.max(most, c.rate ?? 0);
    for (const c of this.cells) {
      g.globalAlpha = 1;
      g.fillStyle = this.style(byRate ? '--free' : colourOf(c.row));
      g.fillRect(c.x, c.y, c.w, c.h);
      if (byRate && c.rate > 0) { g.globalAlpha = heat(c.rate, most); g.fillStyle = this.style('--accent'); g.fillRect(c.x, c.y, c.w, c.h); }
      if (c.row.name === this.state.selected) { g.globalAlpha = 1; g.strokeStyle = this.style('--fg'); g.lineWidth = 2; g.strokeRect(c.x, c.y, c.w, c.h); }
    }
    this.rowsOf = new globalThis.Map(this.cells.map((c) => [c.row.name, c]));
    this.legend(byRate, most);
  }

  // A band for each NUMA node, in it a block for each source.
  layoutSources(rows, width) {
    const groups = new globalThis.Map();
    for (const r of rows) {
      const node = r.node ?? -1;
      if (!groups.has(node)) groups.set(node, new globalThis.Map());
      const sources = groups.get(node);
      if (!sources.has(r.source)) sources.set(r.source, []);
      sources.get(r.source).push(r);
    }
    const size = rows.length > 4000 ? 9 : rows.length > 800 ? 12 : 16;
    this.labels = [];
    let y = 4;
    for (const node of [...groups.keys()].sort((a, b) => a - b)) {
      if (groups.size > 1 || node >= 0) { this.labels.push({ text: node < 0 ? 'no NUMA node' : `NUMA node ${node}`, x: 0, y: y + 12 }); y += 18; }
      let x = 0, tallest = 0;
      for (const [source, list] of groups.get(node)) {
        const label = source + (list[0].driver ? ` (${list[0].driver})` : '');
        const most = Math.max(1, Math.floor(width / (size + GAP)));
        const per = Math.min(most, Math.max(16, Math.ceil(Math.sqrt(list.length * 4)), Math.ceil(label.length * 6.2 / (size + GAP))));
        const w = per * (size + GAP), h = Math.ceil(list.length / per) * (size + GAP) + 18;
        if (x > 0 && x + w > width) { x = 0; y += tallest + 8; tallest = 0; }
        this.labels.push({ text: label, x, y: y + 12, max: Math.max(w, 60) });
        list.forEach((row, i) => this.cells.push({ row, rate: row.rate, x: x + (i % per) * (size + GAP), y: y + 18 + Math.floor(i / per) * (size + GAP), w: size, h: size }));
        x += w + 14;
        tallest = Math.max(tallest, h);
      }
      y += tallest + 10;
    }
    return y;
  }

  // A line for each vector that lands somewhere, a column for each CPU.
  layoutCPUs(rows, width) {
    const n = this.state.columns.length || 1, left = Math.min(220, width * 0.35), h = 13;
    const w = Math.max(1, (width - left) / n - (n < 200 ? 1 : 0));
    this.labels = [];
    const step = Math.max(1, Math.ceil(n / Math.max(1, Math.floor((width - left) / 34))));
    for (let i = 0; i < n; i += step) this.labels.push({ text: String(this.state.columns[i] ?? ''), x: left + i * (width - left) / n, y: 12 });
    let y = 18;
    this.boot = !rows.some((r) => r.perCPU) && rows.some((r) => r.counts); // one picture has no rates
    for (const row of rows) {
      if (!row.cpus && !row.perCPU && !row.counts) continue;
      this.labels.push({ text: row.handlers?.[0] ?? row.name, x: 0, y: y + 10, max: left - 6 });
      const rates = new globalThis.Map((this.boot ? row.counts : row.perCPU) ?? []);
      for (let i = 0; i < n; i++) {
        const lands = inSet(row.cpus, this.state.columns[i]);
        if (lands || rates.has(i)) this.cells.push({ row, cpu: this.state.columns[i], rate: rates.get(i) ?? 0, x: left + i * (width - left) / n, y, w, h: h - 2 });
      }
      y += h;
      if (y > 8000) break;
    }
    if (!this.cells.length) this.labels = [{ text: 'Nothing that is shown is known to land on a CPU.', x: 0, y: 12 }];
    return y + 8;
  }

  legend(byRate, most) {
    const el = document.getElementById('legend');
    const text = byRate ? [['--free', 'quiet'], ['--accent', `up to ${this.often(most)}`]]
      : [['--held', 'held through ivt'], ['--kernel', 'held by the kernel'], ['--free', 'free'], ['--masked', 'masked'], ['--orphaned', 'holder gone or draining'], ['--bad', 'storm or unavailable']];
    const key = JSON.stringify(text) + this.style('--bg');
    if (key === this.legendKey) return;
    this.legendKey = key;
    el.replaceChildren(...text.map(([name, words]) => {
      const s = document.createElement('span'), i = document.createElement('i');
      i.className = 'swatch';
      i.style.background = `var(${name})`;
      s.append(i, words);
      return s;
    }));
  }

  often(n) { return this.state.view === 'cpus' && this.boot ? `${n.toLocaleString('en')} since boot` : `${round(n)} a second`; }
  at(x, y) { x /= this.zoom; y /= this.zoom; return this.cells.find((c) => x >= c.x && x < c.x + c.w + GAP && y >= c.y && y < c.y + c.h + GAP); }
  hover(e) {
    const c = this.at(e.offsetX, e.offsetY);
    this.tip.hidden = !c;
    if (!c) return;
    this.tip.textContent = describe(c.row) + (c.cpu !== undefined ? `\nCPU ${c.cpu}: ${this.often(c.rate)}` : '');
    this.tip.style.left = Math.min(e.clientX + 12, innerWidth - this.tip.offsetWidth - 8) + 'px';
    this.tip.style.top = Math.min(e.clientY + 14, innerHeight - this.tip.offsetHeight - 8) + 'px';
  }
  key(e) {
    const move = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[e.key];
    if (!move || !this.cells.length) return;
    e.preventDefault();
    const now = this.rowsOf.get(this.state.selected);
    if (!now) return this.select(this.cells[0].row.name);
    let best, distance = Infinity;
    for (const c of this.cells) {
      const dx = c.x - now.x, dy = c.y - now.y, along = dx * move[0] + dy * move[1];
      if (along <= 0 || c.row === now.row) continue;
      const d = along + 4 * Math.abs(dx * move[1] + dy * move[0]);
      if (d < distance) { distance = d; best = c; }
    }
    if (best) this.select(best.row.name);
  }
}

export const round = (x) => x >= 100 ? Math.round(x).toLocaleString('en') : (x ?? 0).toFixed(1);
export const describe = (r) => `${r.name}\n${r.state}${r.masked ? ', masked' : ''}${r.who ? ': ' + r.who : ''}${r.rate ? `\n${round(r.rate)} a second` : ''}`;
// "0-3,8" has 2.
export const inSet = (set, n) => !!set && set.split(',').some((p) => { const [a, b] = p.split('-').map(Number); return n >= a && n <= (b ?? a); });

// The list: the same vectors as the map for keyboards and screen readers. Only the rows in sight are in the document.
import { round } from './map.js';

const HEIGHT = 26;

export class List {
  constructor(scroller, table, state, select) {
    Object.assign(this, { scroller, body: table.tBodies[0], table, state, select, rows: [] });
    scroller.addEventListener('scroll', () => this.fill());
    this.body.addEventListener('click', (e) => { const tr = e.target.closest('tr[data-name]'); if (tr) select(tr.dataset.name); });
    scroller.addEventListener('keydown', (e) => this.key(e));
  }
  draw(rows) { this.rows = rows; this.table.setAttribute('aria-rowcount', rows.length + 1); this.fill(); }
  fill() {
    const height = matchMedia('(min-width: 2200px)').matches ? 30 : HEIGHT;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / height) - 10);
    const last = Math.min(this.rows.length, first + Math.ceil(this.scroller.clientHeight / height) + 30);
    const parts = [spacer(first * height)];
    for (let i = first; i < last; i++) parts.push(this.line(this.rows[i], i));
    parts.push(spacer((this.rows.length - last) * height));
    this.body.replaceChildren(...parts);
  }
  line(r, i) {
    const tr = document.createElement('tr');
    tr.dataset.name = r.name;
    tr.setAttribute('aria-rowindex', i + 2);
    tr.setAttribute('aria-selected', r.name === this.state.selected);
    const state = r.storm ? 'storm' : r.masked ? 'masked' : r.state;
    const cells = [r.name, state + (r.waiting ? ` +${r.waiting}` : ''), r.rate === undefined ? '' : round(r.rate), r.total ?? '', r.who ?? '', r.cpus ?? ''];
    cells.forEach((text, n) => {
      const td = document.createElement('td');
      td.textContent = text;
      td.title = text;
      if (n === 2 || n === 3) td.className = 'n';
      if (n === 1 && (r.storm || r.state === 'unavailable')) td.className = 'bad';
      tr.append(td);
    });
    return tr;
  }
  key(e) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[e.key];
    if (!step || !this.rows.length) return;
    e.preventDefault();
    const now = this.rows.findIndex((r) => r.name === this.state.selected);
    const next = Math.max(0, Math.min(this.rows.length - 1, now + step));
    const top = next * HEIGHT;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    if (top + 3 * HEIGHT > this.scroller.scrollTop + this.scroller.clientHeight) this.scroller.scrollTop = top + 3 * HEIGHT - this.scroller.clientHeight;
    this.select(this.rows[next].name);
  }
}
function spacer(height) {
  const tr = document.createElement('tr'), td = document.createElement('td');
  tr.className = 'spacer';
  tr.setAttribute('aria-hidden', 'true');
  td.colSpan = 6;
  td.style.height = height + 'px';
  tr.append(td);
  return tr;
}

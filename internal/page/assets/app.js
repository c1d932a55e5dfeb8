// The page of ivt: state from the stream, a map on a canvas, a list that draws only what is seen.
import { Map as VectorMap } from './map.js';
import { List } from './list.js';
import { Timeline } from './timeline.js';
import { showDetail, showFindings } from './detail.js';

const $ = (id) => document.getElementById(id);
export const state = { rows: new Map(), order: [], columns: [], nodes: {}, daemon: null, findings: [], filter: '', view: 'sources', colour: 'state', selected: '' };

// The address keeps the view: #q=…&view=…&colour=…&sel=…
function readAddress() {
  const p = new URLSearchParams(location.hash.slice(1));
  state.filter = p.get('q') ?? '';
  state.view = p.get('view') === 'cpus' ? 'cpus' : 'sources';
  state.colour = p.get('colour') === 'rate' ? 'rate' : 'state';
  state.selected = p.get('sel') ?? '';
  $('filter').value = state.filter;
}
function writeAddress() {
  const p = new URLSearchParams();
  if (state.filter) p.set('q', state.filter);
  if (state.view !== 'sources') p.set('view', state.view);
  if (state.colour !== 'state') p.set('colour', state.colour);
  if (state.selected) p.set('sel', state.selected);
  history.replaceState(null, '', '#' + p);
}

const searchable = (r) => [r.name, r.state, r.who, r.device, r.driver, r.chip, ...(r.aliases ?? []), ...(r.handlers ?? []),
  ...(r.holders ?? []).flatMap((h) => [h.unit, h.label, h.command, h.pid])].join(' ').toLowerCase();
function matches(r) {
  return state.filter.toLowerCase().split(/\s+/).every((word) => (r.text ??= searchable(r)).includes(word));
}
const byName = new Intl.Collator('en', { numeric: true }).compare;
export function visible() { return state.order.filter(matches); }

const map = new VectorMap($('map'), $('tip'), state, select);
const list = new List($('scroller'), $('rows'), state, select);
const time = new Timeline($('time'), $('pause'), select);

let dirty = false;
function redraw() {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(() => {
    dirty = false;
    const rows = visible();
    map.draw(rows);
    list.draw(rows);
    $('shown').textContent = rows.length === state.order.length ? `${rows.length} vectors` : `${rows.length} of ${state.order.length} vectors`;
    for (const b of document.querySelectorAll('[data-view]')) b.setAttribute('aria-pressed', b.dataset.view === state.view);
    for (const b of document.querySelectorAll('[data-colour]')) b.setAttribute('aria-pressed', b.dataset.colour === (state.view === 'cpus' ? 'rate' : state.colour));
  });
}
export function select(name) {
  state.selected = name;
  writeAddress();
  redraw();
  showDetail($('detail'), state, name);
}

function takeFrame(f) {
  if (f.full) { state.rows.clear(); state.columns = f.columns ?? []; state.nodes = f.nodes ?? {}; state.kernel = f.kernel; }
  for (const r of f.rows) state.rows.set(r.name, r);
  for (const name of f.gone ?? []) state.rows.delete(name);
  if (f.full || f.gone || state.order.length !== state.rows.size) state.order = [...state.rows.values()].sort((a, b) => byName(a.source, b.source) || byName(a.name, b.name));
  else { const at = new Map(state.order.map((r, i) => [r.name, i])); for (const r of f.rows) state.order[at.get(r.name)] = r; }
  daemonIs(f.ivtd);
  const held = state.order.filter((r) => r.ivtd && r.holders?.length).length;
  const unseen = (f.blind ?? []).find((b) => b.what === 'vectors that ivtd hands out' && b.why !== 'nobody answers');
  $('standing').textContent = f.ivtd ? `${state.order.length} vectors · ivtd hands out ${f.ivtd.vectors ?? ''}, ${held} held` : `${state.order.length} interrupts · ${unseen ? `ivtd: ${unseen.why}` : 'no ivtd here'}`;
  document.body.dataset.frames = (+document.body.dataset.frames || 0) + 1;
  redraw();
  if (state.selected && (f.full || f.rows.some((r) => r.name === state.selected))) showDetail($('detail'), state, state.selected, true);
}
function trouble(text) { $('trouble').hidden = !text; $('trouble').textContent = text; }
const clock = (d) => d.toLocaleTimeString('en-GB');

// That ivtd went is said until it is back; the kernel's interrupts are shown all the time.
let gone = null;
function daemonIs(d) {
  if (!d && state.daemon) gone = new Date();
  if (d) { gone = null; time.registryIs(d.instance); }
  state.daemon = d;
  trouble(gone ? `ivtd does not answer since ${clock(gone)}. What the kernel knows is shown; ivtd is tried again.` : '');
}

function listen(broken = null) { // since when there is no server
  const stream = new EventSource('api/stream');
  let early = []; // what comes before history did
  const happened = (d) => {
    if (early) return early.push(d);
    if (d.anew) { time.registryIs(d.anew); recall(); }
    if (d.lost) time.lost(d.lost);
    if (d.event) time.add(d.event, true);
  };
  // What happened while nobody told this page is in history; it comes before what is told from now on.
  const recall = async () => {
    early ??= [];
    await fetchJSON('api/history').then((h) => h.events.forEach((e) => time.add(e, false))).catch(() => {});
    const late = early;
    early = null;
    late.forEach(happened);
  };
  stream.addEventListener('open', () => {
    if (broken) time.gap(`the page had no server from ${clock(broken)} to ${clock(new Date())}; what history has of it comes next`);
    broken = null;
    recall();
  });
  stream.addEventListener('frame', (m) => takeFrame(JSON.parse(m.data)));
  stream.addEventListener('event', (m) => happened(JSON.parse(m.data)));
  stream.addEventListener('lost', (m) => time.lost(JSON.parse(m.data).lost));
  stream.addEventListener('trouble', (m) => trouble(JSON.parse(m.data).error));
  stream.onerror = () => {
    broken ??= new Date();
    trouble(`The page has lost its server at ${clock(broken)}: what it shows is of then. It tries again by itself.`);
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => listen(broken), 2000); // a proxy answered in its place
  };
}
async function fetchJSON(path) {
  const r = await fetch(path);
  const v = await r.json();
  if (!r.ok) throw new Error(v.error);
  return v;
}
async function examine() {
  $('examine').disabled = true;
  try { const r = await fetchJSON('api/findings'); state.findings = r.findings ?? []; showFindings($('findings'), r, select); redraw(); }
  catch (e) { $('findings').textContent = 'Doctor could not look: ' + e.message; }
  $('examine').disabled = false;
}

$('filter').addEventListener('input', () => { state.filter = $('filter').value; writeAddress(); redraw(); });
for (const b of document.querySelectorAll('[data-view]')) b.addEventListener('click', () => { state.view = b.dataset.view; writeAddress(); redraw(); });
for (const b of document.querySelectorAll('[data-colour]')) b.addEventListener('click', () => { state.colour = b.dataset.colour; writeAddress(); redraw(); });
$('theme').addEventListener('click', () => {
  const dark = getComputedStyle(document.documentElement).getPropertyValue('--bg').trim() !== '#fbfbfa';
  document.documentElement.dataset.theme = dark ? 'light' : 'dark';
  redraw();
});
$('examine').addEventListener('click', examine);
addEventListener('hashchange', () => { readAddress(); redraw(); if (state.selected) showDetail($('detail'), state, state.selected); });
addEventListener('resize', redraw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
addEventListener('keydown', (e) => {
  if (e.key === '/' && document.activeElement !== $('filter')) { e.preventDefault(); $('filter').focus(); }
  if (e.key === 'Escape') { $('filter').value = state.filter = ''; writeAddress(); redraw(); $('map').focus(); }
});
readAddress();
listen();
examine();
if (state.selected) showDetail($('detail'), state, state.selected);

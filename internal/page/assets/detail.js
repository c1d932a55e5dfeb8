// One vector in full, and what doctor found.
import { round } from './map.js';
import { item } from './timeline.js';

const el = (tag, text, className) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (className) e.className = className; return e; };
let shown = '', asked = 0;

export async function showDetail(box, state, name, again) {
  const r = state.rows.get(name) ?? [...state.rows.values()].find((x) => x.aliases?.includes(name));
  const parts = [el('h2', r?.name ?? name)];
  if (!r) parts.push(el('p', 'There is no such vector here now.', 'quiet'));
  else parts.push(facts(r));
  const about = state.findings.filter((f) => r && (f.vectors ?? []).some((v) => v === r.name || r.aliases?.includes(v)));
  for (const f of about) parts.push(finding(f));
  const past = again && shown === name ? box.querySelector('.past') : null;
  const log = past ?? el('ol', undefined, 'past');
  log.style.listStyle = 'none';
  log.style.padding = 0;
  parts.push(el('h2', 'History'), log);
  if (r && (r.ivtd || r.holders?.length)) parts.push((again && shown === name && box.querySelector('.explain')) || explanation());
  box.replaceChildren(...parts);
  shown = name;
  const mine = ++asked;
  try {
    const h = await (await fetch('api/history?vector=' + encodeURIComponent(r?.name ?? name))).json();
    if (mine !== asked) return;
    const events = (h.events ?? []).slice(-20).reverse();
    log.replaceChildren(...(events.length ? events.map((e) => item(e)) : [el('li', 'nothing is recorded', 'quiet')]));
  } catch { log.replaceChildren(el('li', 'history cannot be read now', 'quiet')); }
}

// The explanation stays open while the facts above it change.
function explanation() {
  const d = el('div', undefined, 'explain'), b = el('button', 'What does a refusal (763) mean?');
  b.addEventListener('click', async () => { const x = await (await fetch('api/explain?q=763')).json(); b.replaceWith(el('pre', x.text)); });
  d.append(b);
  return d;
}

function facts(r) {
  const dl = el('dl');
  const row = (name, value) => { if (value !== undefined && value !== '' && value !== null) dl.append(el('dt', name), el('dd', value)); };
  row('state', r.state + (r.masked ? ', masked' : '') + (r.storm ? ', storm' : '') + (r.reason ? ': ' + r.reason : ''));
  for (const h of r.holders ?? []) row('held by', holder(h));
  row('handlers', r.handlers?.join('; '));
  row('also', r.aliases?.join(', '));
  row('device', [r.device, r.driver].filter(Boolean).join(' · '));
  row('delivery', [r.delivery, r.trigger, r.shareable ? 'shareable' : ''].filter(Boolean).join(', '));
  row('waiting', r.waiting || undefined);
  row('count', r.total?.toLocaleString('en'));
  row('a second', r.rate === undefined ? undefined : round(r.rate));
  row('lands on', r.cpus && 'CPU ' + r.cpus);
  row('asked for', r.asked && r.asked !== r.cpus ? 'CPU ' + r.asked : undefined);
  row('NUMA node', r.node >= 0 ? r.node : undefined);
  return dl;
}
function holder(h) {
  if (h.kind === 'kernel') return `the kernel's driver ${h.driver ?? 'unknown'}${h.device ? ' for ' + h.device : ''}`;
  if (h.kind !== 'process') return `unknown${h.label ? ': ' + h.label : ''}`;
  if (!h.pid) return 'a process';
  return `${h.command ?? '?'} (pid ${h.pid}${h.uid !== undefined ? ', uid ' + h.uid : ''}${h.unit ? ', ' + h.unit : ''}${h.label ? ', “' + h.label + '”' : ''})${h.since ? ' since ' + new Date(h.since).toLocaleString('en-GB') : ''}`;
}
function finding(f) {
  const d = el('div', undefined, 'finding ' + f.severity);
  d.append(el('strong', f.title ?? f.id), el('p', f.meaning ?? ''));
  for (const e of f.evidence ?? []) d.append(el('p', `${e.from}: ${e.value}`, 'quiet'));
  for (const x of f.remedies ?? []) d.append(el('p', 'do: ' + x.do + (x.command ? `: ${x.command}` : '') + (x.risk ? ` (risk: ${x.risk})` : '')));
  return d;
}
export function showFindings(box, report, select) {
  const list = report.findings ?? [];
  if (!list.length) { box.replaceChildren(el('p', 'Nothing is wrong, as far as can be seen.', 'ok')); }
  else box.replaceChildren(...list.map((f) => { const d = finding(f); for (const v of f.vectors ?? []) { const b = el('button', v); b.addEventListener('click', () => select(v)); d.append(b); } return d; }));
  if (!report.unseen?.length) return;
  const unseen = el('details', undefined, 'quiet');
  unseen.append(el('summary', `${report.unseen.length} checks could not look`), ...report.unseen.map((u) => el('p', `${u.what}: ${u.why}`)));
  box.append(unseen);
}

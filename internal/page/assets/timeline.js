// What happens, newest first. Paused it stands still and counts; scrolled back it stays where one reads.
const MOST = 500;
const words = { connected: 'connected', disconnected: 'disconnected', refused: 'refused', orphaned: 'died, grace runs', resumed: 'resumed', revoked: 'revoked',
  parked: 'parked', masked: 'masked', unmasked: 'unmasked', storm: 'storm: masked', stalled: 'does not read', lost: 'lost', rang: 'rung in doubt', added: 'source added', removed: 'source removed', changed: 'changed' };

export class Timeline {
  constructor(list, button, select) {
    Object.assign(this, { list, button, select, held: [], paused: false, known: new Set(), registry: '' });
    button.addEventListener('click', () => this.pause(!this.paused));
    list.addEventListener('click', (e) => { const li = e.target.closest('li[data-vector]'); if (li?.dataset.vector) select(li.dataset.vector); });
  }
  pause(on) {
    this.paused = on;
    this.button.setAttribute('aria-pressed', on);
    if (!on) { for (const li of this.held) this.put(li); this.held = []; }
    this.label();
  }
  label() { this.button.textContent = this.paused ? `Go on${this.held.length ? ` (${this.held.length} new)` : ''}` : 'Pause'; }
  // What comes over the stream may be in history, too: each event is shown once.
  add(e, fresh) {
    const key = e.sequence + ' ' + e.time; // another registry may number from the beginning
    if (this.known.has(key)) return;
    this.known.add(key);
    if (this.known.size > 4 * MOST) this.known.delete(this.known.values().next().value);
    this.show(item(e, fresh));
  }
  // Another registry knows nothing of who held before.
  registryIs(id) {
    if (this.registry && this.registry !== id) this.gap('ivtd was started anew here: what was held before is not any more, and of the time between nothing is known');
    this.registry = id;
  }
  gap(text) { const li = document.createElement('li'); li.className = 'bad gap'; li.textContent = text; this.show(li); }
  lost(n) { this.gap(`${n} events were missed here; the map is right again`); }
  show(li) {
    if (!this.paused) return this.put(li);
    this.held.push(li);
    if (this.held.length > MOST) this.held.shift();
    this.label();
  }
  put(li) {
    const from = this.list.scrollTop, tall = this.list.scrollHeight;
    this.list.prepend(li);
    while (this.list.children.length > MOST) this.list.lastChild.remove();
    if (from > 0) this.list.scrollTop = from + this.list.scrollHeight - tall;
  }
}

export function item(e, fresh) {
  const li = document.createElement('li'), time = document.createElement('time');
  li.dataset.vector = e.vector;
  li.dataset.kind = e.kind;
  if (fresh) li.className = 'new';
  time.dateTime = e.time;
  time.textContent = new Date(e.time).toLocaleTimeString('en-GB');
  li.append(time);
  if (e.kind !== 'refused') { li.append(`${e.vector} ${words[e.kind] ?? e.kind}${e.who ? ': ' + e.who : ''}${e.why ? ' (' + e.why + ')' : ''}`); return li; }
  const head = document.createElement('span');
  head.className = 'bad';
  head.textContent = `${e.vector} refused: ${e.code}`;
  li.append(head, small('div', e.name, 'bad code'));
  const both = document.createElement('div');
  both.className = 'refusal';
  both.append(party('lost', 'wanted it', e.who || 'somebody'), small('div', '→ ✕', 'arrow'), party('has', 'has it', e.holders?.length ? e.holders.join(' and ') : e.why || 'nobody in the way'));
  li.append(both);
  if (e.code === 763) li.append(small('p', 'A vector has one holder. It was taken already, and nothing of its holder was disturbed.', 'quiet'));
  for (const r of e.remedies?.slice(0, 3) ?? []) li.append(small('p', 'try: ' + r, 'quiet'));
  return li;
}
function small(tag, text, className) {
  const e = document.createElement(tag);
  e.textContent = text;
  e.className = className;
  return e;
}
function party(kind, role, text) {
  const d = document.createElement('div');
  d.className = 'party ' + kind;
  d.append(small('small', role, ''), text);
  return d;
}

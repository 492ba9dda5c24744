// When a client wants to be reached, by the clock where they are: shown, and changed in place.
import { change } from '../acts.js';
import { announce, changed, desk } from '../desk.js';
import { html, useLayoutEffect, useRef, useState } from '../html.js';
import { t } from '../words.js';
import { Trouble } from './trouble.js';

// What they are offered as, where nobody said anything yet.
const USUAL = { from: '09:00', to: '18:00' };
// Browsers know Kyiv by the name it had.
const named = zone => (zone === 'Europe/Kiev' ? 'Europe/Kyiv' : zone);
const here = () => named(Intl.DateTimeFormat().resolvedOptions().timeZone);
const zones = () => Intl.supportedValuesOf('timeZone').map(named);

// `hours` is null where they may be reached at any time.
export function Hours({ client, hours, mayAct }) {
    const place = `hours:${client}`;
    // What is being written; null while nothing is.
    const [written, write] = useState(null);
    const [opener, first] = [useRef(null), useRef(null)];
    const isOpen = written !== null;
    const was = useRef(isOpen);
    useLayoutEffect(() => {
        // The focus goes where the work is, and back.
        if (isOpen !== was.current) (isOpen ? first : opener).current?.focus();
        was.current = isOpen;
    }, [isOpen]);
    const close = () => {
        desk.problems.delete(place);
        write(null);
        changed();
    };
    const keep = async wanted => {
        if (!(await change(client, { hours: wanted }, place))) return;
        announce(t('say_hours'));
        write(null);
    };
    const leave = event => {
        if (event.key !== 'Escape') return;
        event.preventDefault();
        close();
    };
    const shown = hours ? t('hours', { ...hours, to: hours.to < hours.from ? t('next_day', { at: hours.to }) : hours.to }) : t('hours_any');
    if (!isOpen) {
        return html`<div class="hours">
            <p><span class="muted">${t('hours_title')}:</span> <span data-testid="hours">${shown}</span></p>
            ${mayAct && html`<button type="button" class="quiet" ref=${opener} aria-label=${t('hours_change')} onClick=${() => write(hours ?? { ...USUAL, zone: here() })}>${t('change')}</button>`}
        </div>`;
    }
    const busy = desk.busy.has(place);
    const problem = desk.problems.get(place);
    const fault = /^hours\.(from|to|zone)$/.exec(problem?.field ?? '')?.[1];
    const field = (name, attributes) => html`<label>${t(`hours_${name}`)}
            <input ref=${name === 'from' ? first : null} required value=${written[name]} onInput=${event => write({ ...written, [name]: event.target.value })}
                aria-invalid=${fault === name ? 'true' : null} aria-describedby=${fault === name ? `hours-${name}-problem` : null} ...${attributes} /></label>
        ${fault === name && html`<${Trouble} problem=${problem} id=${`hours-${name}-problem`} />`}`;
    return html`<form class="hours open" aria-labelledby="hours-title" onKeyDown=${leave} onSubmit=${event => { event.preventDefault(); keep(written); }}>
        <h3 id="hours-title">${t('hours_title')}</h3>
        ${field('from', { type: 'time' })}
        ${field('to', { type: 'time' })}
        ${field('zone', { type: 'text', list: 'zones', maxlength: 60, autocomplete: 'off', spellcheck: false })}
        <datalist id="zones">${zones().map(zone => html`<option value=${zone} key=${zone} />`)}</datalist>
        ${!fault && html`<${Trouble} problem=${problem} />`}
        <span class="buttons">
            <button class="primary" disabled=${busy}>${t('save')}</button>
            ${hours && html`<button type="button" disabled=${busy} onClick=${() => keep(null)}>${t('hours_any')}</button>`}
            <button type="button" class="quiet" disabled=${busy} onClick=${close}>${t('cancel')}</button>
        </span>
    </form>`;
}

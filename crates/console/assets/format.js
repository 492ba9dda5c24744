// Times, spans and numbers as the language writes them.
import { present } from './clock.js';
import { said, t, written } from './words.js';

const made = new Map();
function of(Kind, options) {
    const key = `${Kind.name} ${written()} ${JSON.stringify(options)}`;
    if (!made.has(key)) made.set(key, new Kind(written(), options));
    return made.get(key);
}
const unit = (value, unit) =>
    of(Intl.NumberFormat, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: 0 }).format(value);

// A span in at most two units: `45 s`, `1 min 3 s`, `12 min`, `2 h 5 min`, `3 days`.
export function span(seconds) {
    const s = Math.max(0, Math.round(seconds));
    if (s < 60) return unit(s, 'second');
    const minutes = Math.floor(s / 60);
    if (minutes < 10 && s % 60) return `${unit(minutes, 'minute')} ${unit(s % 60, 'second')}`;
    if (minutes < 60) return unit(minutes, 'minute');
    const hours = Math.floor(minutes / 60);
    if (hours < 24) return minutes % 60 ? `${unit(hours, 'hour')} ${unit(minutes % 60, 'minute')}` : unit(hours, 'hour');
    return unit(Math.floor(hours / 24), 'day');
}

// A span that is watched, short: seconds are shown in the first ten minutes, hours alone after the first.
export function counted(seconds) {
    const s = Math.max(0, Math.round(seconds));
    if (s >= 600) return span(s < 3600 || s >= 86400 ? s : Math.floor(s / 3600) * 3600);
    return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}

export const time = at => of(Intl.DateTimeFormat, { hour: '2-digit', minute: '2-digit' }).format(new Date(at));
export const moment = at =>
    of(Intl.DateTimeFormat, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' }).format(new Date(at));
export const exact = at => of(Intl.DateTimeFormat, { dateStyle: 'full', timeStyle: 'medium' }).format(new Date(at));
export const number = (value, options = {}) => of(Intl.NumberFormat, options).format(value);
export const share = value => number(value, { style: 'percent', maximumFractionDigits: 1 });
export const bytes = size =>
    size < 1024 ? unit(size, 'byte') : size < 1048576 ? unit(size / 1024, 'kilobyte') : unit(size / 1048576, 'megabyte');

const midnight = at => new Date(at).setHours(0, 0, 0, 0);

// The day of a moment: today, yesterday, or the date.
export function day(at, now = present()) {
    const apart = Math.round((midnight(at) - midnight(now)) / 864e5);
    if (apart === 0 || apart === -1) {
        const words = of(Intl.RelativeTimeFormat, { numeric: 'auto' }).format(apart, 'day');
        return words.charAt(0).toLocaleUpperCase(written()) + words.slice(1);
    }
    const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear();
    const year = sameYear ? {} : { year: 'numeric' };
    return of(Intl.DateTimeFormat, { weekday: 'long', day: 'numeric', month: 'long', ...year }).format(new Date(at));
}

// When: the time today, else day and time.
export const when = at => (midnight(at) === midnight(present()) ? time(at) : moment(at));

// How a client is called: by name, else by an address of theirs, else by where their last contact came from or went.
export function called(client, entry) {
    if (client?.name) return client.name;
    const known = client?.identifiers?.find(one => one.kind === 'phone' || one.kind === 'email')?.value;
    const { from, to } = entry?.content ?? {};
    const other = entry?.direction === 'inbound' ? from : entry?.kind === 'contact' ? [to].flat()[0] : null;
    return known ?? client?.address ?? other?.value ?? t(client ? 'nameless_client' : 'unknown_client');
}

// How a call went: what it came to, and how long it took.
export function call({ content, direction }) {
    const { state, outcome = null, rang_s: rang, talked_s: talked, recordings = [] } = content ?? {};
    const came = (state === 'ended' ? outcome : state) ?? 'ended';
    const words = said(direction === 'outbound' && came === 'answered' ? 'call_out' : 'call', came);
    const kept = recordings.filter(one => one.seconds);
    const lengths = [
        rang > 0 && came !== 'answered' && t('rang', { span: span(rang) }),
        talked > 0 && t('talked', { span: span(talked) }),
        ...kept.map(one => t(one.kind === 'voicemail' ? 'voicemail_of' : 'recording_of', { span: span(one.seconds) })),
    ].filter(Boolean);
    return { came, words, lengths };
}

// An entry in one line.
export function line(entry) {
    if (entry?.channel !== 'phone' || entry.kind !== 'contact') return entry?.summary ?? '';
    const { words, lengths } = call(entry);
    return [words, ...lengths].join(', ');
}

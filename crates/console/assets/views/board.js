// How we are doing: who waits now, how fast we answer, what we promised and kept.
import { readIfThere } from '../api.js';
import { present } from '../clock.js';
import { html, useEffect, useState } from '../html.js';
import { moment, number, share, span, time } from '../format.js';
import { said, t } from '../words.js';
import { Plot } from './plot.js';
import { Trouble } from './trouble.js';

// The figures are read again so often.
const AGAIN = 10e3;
const HOURS = { day: 24, three: 72, week: 168 };
const NOTHING = { items: [] };

export function Board() {
    const [period, choose] = useState('day');
    const [by, split] = useState('queue');
    const [figures, show] = useState(null);
    const [problem, say] = useState(null);
    useEffect(() => {
        let gone = false;
        const look = async () => {
            if (document.visibilityState === 'hidden') return;
            try {
                const found = await read(HOURS[period], by);
                if (!gone) [show(found), say(null)];
            } catch (problem) {
                if (!gone) say(problem);
            }
        };
        look();
        const again = setInterval(look, AGAIN);
        return () => {
            gone = true;
            clearInterval(again);
        };
    }, [period, by]);
    return html`<main class="board" id="main" tabindex="-1">
        <div class="bar">
            <h1>${t('board')}</h1>
            <label>${t('period')} <select value=${period} onChange=${event => choose(event.target.value)}>
                ${Object.entries(HOURS).map(([name, n]) => html`<option value=${name} key=${name}>
                    ${t('last_hours', { n })}</option>`)}</select></label>
            <label>${t('split_by')} <select value=${by} onChange=${event => split(event.target.value)}>
                ${['queue', 'channel', 'agent', 'segment'].map(one => html`<option value=${one} key=${one}>
                    ${t(`by_${one}`)}</option>`)}</select></label>
        </div>
        <${Trouble} problem=${problem} />
        ${figures ? html`<${Figures} figures=${figures} by=${by} />` : !problem && html`<p class="empty">
            ${t('reading')}</p>`}
    </main>`;
}

// Everything the board shows, of the same hours. The last day is what the server means when nothing is said, and
// whoever waits now does so whenever they began.
async function read(hours, by) {
    const to = new Date(present());
    const from = new Date(Math.floor((to - hours * 36e5) / 36e5) * 36e5);
    const ask = (what, by) => {
        const query = new URLSearchParams(by ? { by } : {});
        if (hours !== HOURS.day && what !== 'waiting') query.set('from', from.toISOString());
        return readIfThere(`/v1/stats/${what}?${query}`, NOTHING);
    };
    const figures = await Promise.all([
        ask('waiting'), ask('waiting', by), ask('response'), ask('response', by), ask('response', 'hour'), ask('service-level'),
        ask('service-level', by), ask('calls'), ask('calls', 'hour'), ask('promises'),
    ]);
    const [waiting, waitingBy, response, responseBy, hourly, level, levelBy, calls, callsHourly, promises] = figures;
    return { from, to, waiting, waitingBy, response, responseBy, hourly, level, levelBy, calls, callsHourly, promises };
}

const seconds = value => (value === null || value === undefined ? '–' : span(value));

function Figures({ figures, by }) {
    const waiting = figures.waiting.items[0] ?? {};
    const response = figures.response.items[0] ?? {};
    const level = figures.level.items[0] ?? {};
    const calls = figures.calls.items[0] ?? {};
    const hours = hoursBetween(figures.from, figures.to);
    const labels = hours.map(hours.length > 30 ? moment : time);
    const along = (items, value) => {
        const found = new Map(items.map(one => [Date.parse(one.key), one]));
        return hours.map(at => (found.has(at) ? (value(found.get(at)) ?? null) : null));
    };
    const answers = figures.hourly.items;
    const told = figures.callsHourly.items;
    return html`
        <ul class="tiles" aria-label=${t('now')}>
            <${Tile} name=${t('waiting')} value=${number(waiting.count ?? 0)} below=${waiting.count ? t('oldest', { span: seconds(waiting.oldest_s) }) : t('nobody_waits')} />
            <${Tile} name=${t('first_response')} value=${seconds(response.first_response?.p50_s)} below=${t('nine_of_ten', { span: seconds(response.first_response?.p90_s) })} />
            <${Tile} name=${t('service_level')} value=${level.level === null || level.level === undefined ? '–' : share(level.level)} below=${t('within_of', { within: number(level.within ?? 0), n: (level.within ?? 0) + (level.late ?? 0) })} title=${figures.level.formula} />
            <${Tile} name=${t('missed_calls')} value=${number(calls.missed ?? 0)} below=${t('called_back_open', { back: number(calls.called_back ?? 0), open: number(calls.callback_open ?? 0) })} />
        </ul>
        <div class="plots">
            <${Plot} title=${t('plot_response')} labels=${labels} write=${seconds} series=${[
                { name: t('half'), values: along(answers, one => one.first_response?.p50_s) },
                { name: t('nine_tenths'), values: along(answers, one => one.first_response?.p90_s) },
            ]} />
            <${Plot} title=${t('plot_calls')} labels=${labels} write=${value => number(value)} stacked series=${[
                { name: t('answered'), values: along(told, one => one.answered) },
                { name: t('missed'), values: along(told, one => one.missed) },
            ]} />
            <${Plot} title=${t('plot_promises')} labels=${figures.promises.items.map(one => said('promise', one.kind ?? one.key))} write=${value => number(value)} stacked series=${[
                { name: t('kept'), values: figures.promises.items.map(one => one.kept) },
                { name: t('kept_late'), values: figures.promises.items.map(one => (one.late ?? 0) + (one.breached_open ?? 0)) },
            ]} />
            <${Parts} figures=${figures} by=${by} />
        </div>
        ${figures.level.formula && html`<p class="muted">${t('formula')}: ${figures.level.formula}</p>`}`;
}

const Tile = ({ name, value, below, title }) =>
    html`<li class="tile" title=${title}><span class="name">${name}</span><strong>${value}</strong>
        <span class="muted">${below}</span></li>`;

// The same figures, part by part.
function Parts({ figures, by }) {
    const rows = new Map();
    const put = (items, name) => {
        for (const one of items) rows.set(one.key, { ...rows.get(one.key), [name]: one });
    };
    put(figures.waitingBy.items, 'waiting');
    put(figures.responseBy.items, 'response');
    put(figures.levelBy.items, 'level');
    const label = key => (key === null ? t('none') : by === 'channel' ? said('channel', key) : key);
    return html`<div class="parts"><h2 id="parts">${t(`by_${by}`)}</h2>
        ${rows.size === 0 ? html`<p class="empty">
            ${t('no_figures')}</p>` : html`<div class="scroll" tabindex="0" role="region" aria-labelledby="parts">
            <table>
            <thead><tr><td></td><th scope="col">${t('waiting')}</th><th scope="col">${t('oldest_short')}</th>
                <th scope="col">${t('half')}</th><th scope="col">${t('nine_tenths')}</th><th scope="col">
                ${t('service_level')}</th></tr></thead>
            <tbody>${[...rows].map(([key, one]) => html`<tr key=${String(key)}><th scope="row">
                ${label(key)}</th>
                <td>${number(one.waiting?.count ?? 0)}</td><td>${seconds(one.waiting?.oldest_s)}</td><td>
                    ${seconds(one.response?.first_response?.p50_s)}</td>
                <td>${seconds(one.response?.first_response?.p90_s)}</td><td>
                    ${one.level?.level === null || one.level?.level === undefined ? '–' : share(one.level.level)}</td></tr>`)}</tbody>
        </table></div>`}
    </div>`;
}

// The beginnings of the hours, in milliseconds.
function hoursBetween(from, to) {
    const hours = [];
    for (let at = Math.floor(from / 36e5) * 36e5; at <= to; at += 36e5) hours.push(at);
    return hours;
}

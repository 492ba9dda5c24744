// Two plots, drawn by hand: lines over time, and bars on each other. Both can be read as a table.
import { html, useLayoutEffect, useRef, useState } from '../html.js';
import { t } from '../words.js';

const HEIGHT = 180,
    LEFT = 54,
    BOTTOM = 22,
    TOP = 8;

// `series` are `{ name, values }`, with null where there is nothing; `labels` name the places along the way,
// `write` makes a value readable. `stacked` draws bars.
export function Plot({ title, labels, series, write, stacked = false }) {
    const box = useRef(null);
    const [width, measure] = useState(560);
    useLayoutEffect(() => {
        const watch = new ResizeObserver(([entry]) => measure(Math.max(200, Math.round(entry.contentRect.width))));
        watch.observe(box.current);
        return () => watch.disconnect();
    }, []);
    const isEmpty = series.every(one => one.values.every(value => (stacked ? !value : (value ?? null) === null)));
    return html`<figure class="plot">
        <figcaption>${title}
            <span class="legend">${series.map((one, i) => html`<span key=${one.name}>
                <i class=${`ink-${i} ${stacked ? '' : 'line'}`} aria-hidden="true"></i>
                ${one.name}</span>`)}</span></figcaption>
        <div class="drawing" ref=${box}>
            ${isEmpty ? html`<p class="empty">
                ${t('no_figures')}</p>` : html`<${Drawing} ...${{ title, labels, series, write, stacked, width }} />`}
        </div>
        ${!isEmpty && html`<details><summary>${t('as_table')}</summary>
            <div class="scroll" tabindex="0" role="region" aria-label=${title}>
            <${Table} ...${{ title, labels, series, write }} /></div></details>`}
    </figure>`;
}

function Drawing({ title, labels, series, write, stacked, width }) {
    const sums = labels.map((_, at) => series.reduce((sum, one) => sum + (one.values[at] ?? 0), 0));
    const top = scale(stacked ? Math.max(...sums) : Math.max(...series.flatMap(one => one.values.map(value => value ?? 0))));
    const step = (width - LEFT - 6) / labels.length;
    const x = at => LEFT + step * (at + 0.5);
    const y = value => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
    const wide = 14 + 6 * Math.max(...labels.map(label => label.length));
    const every = Math.max(1, Math.ceil((labels.length * wide) / (width - LEFT)));
    return html`<svg width=${width} height=${HEIGHT} viewBox=${`0 0 ${width} ${HEIGHT}`} role="img" aria-label=${summary(title, series, write)}>
        ${[0, 0.5, 1].map(part => html`<g key=${part}>
            <line class="grid" x1=${LEFT} x2=${width} y1=${y(top * part)} y2=${y(top * part)} />
            <text x=${LEFT - 6} y=${y(top * part) + 4} text-anchor="end">${write(top * part)}</text></g>`)}
        ${labels.map((label, at) => at % every === 0 && html`<text key=${at} x=${x(at)} y=${HEIGHT - 6} text-anchor="middle">${label}</text>`)}
        ${stacked ? bars(series, labels, x, y, step) : series.map((one, i) => html`<${Line} key=${one.name} values=${one.values} ink=${i} x=${x} y=${y} />`)}
    </svg>`;
}

function bars(series, labels, x, y, step) {
    const wide = Math.max(2, Math.min(28, step * 0.7));
    return labels.map((_, at) => {
        let below = 0;
        return series.map((one, i) => {
            const value = one.values[at] ?? 0;
            const from = y(below);
            below += value;
            return value > 0 && html`<rect key=${`${at} ${i}`} class=${`ink-${i}`} x=${x(at) - wide / 2} y=${y(below)} width=${wide} height=${Math.max(1, from - y(below))} rx="1" />`;
        });
    });
}

// Where there is no figure the line has a gap; a figure alone is a dot.
function Line({ values, ink, x, y }) {
    let path = '';
    values.forEach((value, at) => {
        if (value === null || value === undefined) return;
        const goesOn = values[at - 1] !== null && values[at - 1] !== undefined;
        path += `${goesOn ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    return html`<g class=${`ink-${ink}`}><path class="line" d=${path} />
        ${values.map((value, at) => value !== null && value !== undefined && html`<circle key=${at} cx=${x(at)} cy=${y(value)} r="2.5" />`)}</g>`;
}

// A round number above the largest value.
function scale(largest) {
    const power = 10 ** Math.floor(Math.log10(Math.max(largest, 1)));
    return [1, 2, 4, 6, 8, 10].map(step => step * power).find(top => top >= largest) ?? largest;
}

const summary = (title, series, write) =>
    `${title}. ${series
        .map(one => {
            const known = one.values.filter(value => value !== null && value !== undefined);
            return known.length ? t('plot_series', { name: one.name, most: write(Math.max(...known)), last: write(known.at(-1)) }) : '';
        })
        .filter(Boolean)
        .join('; ')}`;

const Table = ({ title, labels, series, write }) => html`<table>
    <caption class="unseen">${title}</caption>
    <thead><tr><td></td>${series.map(one => html`<th scope="col" key=${one.name}>
        ${one.name}</th>`)}</tr></thead>
    <tbody>${labels.map((label, at) => html`<tr key=${at}><th scope="row">${label}</th>
        ${series.map(one => html`<td key=${one.name}>
        ${one.values[at] === null || one.values[at] === undefined ? '–' : write(one.values[at])}</td>`)}</tr>`)}</tbody>
</table>`;

// Small drawings. They say nothing a word beside them does not say too.
import { html } from '../html.js';
import { said } from '../words.js';

const STROKES = {
    phone: 'M5 3h3l1.5 4-2 1.5a11 11 0 0 0 5 5l1.5-2 4 1.5v3a2 2 0 0 1-2 2A15 15 0 0 1 3 5a2 2 0 0 1 2-2z',
    email: 'M3 5h14v10H3zM3 6l7 5 7-5',
    chat: 'M4 4h12a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H9l-4 3v-3H4a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1z',
    desk: 'M4 16V5l6-2 6 2v11M8 16v-4h4v4',
    search: 'M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM13 13l4 4',
    clock: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 6v4l3 2',
    warn: 'M10 3l8 14H2zM10 8v4M10 14.5v.5',
    late: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 6.5v4.5M10 13.3v.4',
    back: 'M12 4l-6 6 6 6',
    close: 'M5 5l10 10M15 5L5 15',
    help: 'M7.5 7.5a2.5 2.5 0 1 1 3.6 2.2c-.7.4-1.1.8-1.1 1.8M10 14v.5',
    file: 'M6 3h6l3 3v11H6zM12 3v3h3',
    note: 'M4 4h12v8l-4 4H4zM12 16v-4h4',
    out: 'M8 4H4v12h4M12 7l4 3-4 3M16 10H8',
    in: 'M15 5L6 14M6 8v6h6',
    outward: 'M5 15l9-9M8 6h6v6',
};

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
    <path d=${STROKES[name] ?? STROKES.desk} />
</svg>`;

// A channel, for eye and ear.
export const Channel = ({ name }) =>
    html`<span class="channel" title=${said('channel', name)}><${Icon} name=${name} /><span class="unseen">
        ${said('channel', name)}</span></span>`;

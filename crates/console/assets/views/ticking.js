// Spans that grow and shrink while one looks at them. One clock for all of them.
import { present } from '../clock.js';
import { html, useEffect, useState } from '../html.js';
import { counted, exact, span } from '../format.js';
import { t } from '../words.js';
import { Icon } from './icons.js';

const shown = new Set();
let ticking = null;

// Draws its component anew every second.
export function useClock() {
    const [, again] = useState(0);
    useEffect(() => {
        const tick = () => again(count => count + 1);
        shown.add(tick);
        ticking ??= setInterval(() => shown.forEach(tick => tick()), 1000);
        return () => {
            shown.delete(tick);
            if (shown.size === 0) ticking = clearInterval(ticking) ?? null;
        };
    }, []);
    return present();
}

export function Since({ at, exactly = false }) {
    const seconds = (useClock() - Date.parse(at)) / 1000;
    return html`<time datetime=${at} title=${exact(at)}>${exactly ? counted(seconds) : span(seconds)}</time>`;
}

// How long until something is due, in words, with a mark that is more than a colour.
export function Due({ at, state = 'running', kind }) {
    const left = (Date.parse(at) - useClock()) / 1000;
    const mood = left < 0 || state === 'breached' ? 'late' : state === 'warned' ? 'warn' : 'calm';
    const words = left < 0 ? t('late_by', { span: counted(-left) }) : t('due_in', { span: counted(left) });
    const title = `${kind ? `${t(`promise_${kind}`)}: ` : ''}${exact(at)}`;
    return html`<span class=${`due ${mood}`} title=${title}>
        <${Icon} name=${mood === 'calm' ? 'clock' : mood} />${mood === 'warn' && html`<span class="unseen">
            ${t('due_soon')}</span> `}${words}
    </span>`;
}

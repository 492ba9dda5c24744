// A history over all channels: the newest at the bottom, the past paged in above.
import { desk, entries } from '../desk.js';
import { day } from '../format.js';
import { html, useEffect, useLayoutEffect, useRef } from '../html.js';
import { loadTimeline } from '../reads.js';
import { t } from '../words.js';
import { Entry } from './entry.js';
import { Trouble } from './trouble.js';

const CHANNELS = ['', 'phone', 'email', 'chat', 'desk'];

// `of` says whose, `who` how they are called, `conversation` which part of it is looked at; the rest stands back.
export function Timeline({ of, who, conversation }) {
    const box = useRef(null);
    // Where we are in it, before it is drawn anew.
    const place = useRef({ atEnd: true, height: 0, first: null });
    useEffect(() => {
        loadTimeline(of);
        return () => {
            const timeline = desk.timelines.get(of);
            if (timeline) timeline.shown = false;
        };
    }, [of]);
    const timeline = desk.timelines.get(of);
    const list = timeline ? entries(timeline) : [];
    const first = list[0]?.id ?? null;
    useLayoutEffect(() => {
        const [element, was] = [box.current, place.current];
        if (!element) return;
        // Who reads the end goes on reading the end; who paged back stays where they were.
        if (was.atEnd) element.scrollTop = element.scrollHeight;
        else if (first !== was.first) element.scrollTop += element.scrollHeight - was.height;
        Object.assign(was, { height: element.scrollHeight, first });
    });
    useEffect(() => {
        // The room shrinks when a keyboard slides in or a text grows: the end stays in sight.
        const watch = new ResizeObserver(([{ target }]) => {
            if (place.current.atEnd) target.scrollTop = target.scrollHeight;
        });
        if (box.current) watch.observe(box.current);
        return () => watch.disconnect();
    }, [timeline !== undefined]);
    const scrolled = event => {
        const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
        place.current.atEnd = scrollHeight - scrollTop - clientHeight < 40;
        if (scrollTop < 60 && !place.current.atEnd && timeline?.next && timeline.state === 'read') earlier();
    };
    const earlier = () => loadTimeline(of, { earlier: true });
    const choose = channel => {
        place.current.atEnd = true;
        loadTimeline(of, { channel });
    };
    if (!timeline) return html`<div class="timeline"></div>`;
    let date = null;
    return html`<div class="history">
        <h2 class="unseen">${t('history')}</h2>
        <div class="filter" role="group" aria-label=${t('filter')}>
            ${CHANNELS.map(channel => html`<button type="button" key=${channel} class="chip" aria-pressed=${timeline.channel === channel ? 'true' : 'false'} onClick=${() => choose(channel)}>${channel ? t(`channel_${channel}`) : t('all_channels')}</button>`)}
        </div>
        <div class="timeline" ref=${box} onScroll=${scrolled} tabindex="0" role="region" aria-label=${t('history')}>
            ${timeline.next && html`<button type="button" class="quiet wide" disabled=${timeline.state === 'reading'} onClick=${earlier}>${t('earlier')}</button>`}
            <${Trouble} problem=${timeline.problem} again=${() => loadTimeline(of, { again: true })} words=${t('again')} />
            ${!list.length && !timeline.problem && html`<p class="empty">
                ${timeline.state === 'reading' ? t('reading') : t('nothing_here')}</p>`}
            ${list.map(entry => {
                const today = day(entry.occurred_at);
                const heading = today !== date && html`<h3 class="day" key=${`day ${entry.id}`}>
                    ${today}</h3>`;
                date = today;
                return html`${heading}<${Entry} key=${entry.id} entry=${entry} who=${who} apart=${conversation && entry.conversation !== conversation} />`;
            })}
        </div>
    </div>`;
}

// Keeps what the page knows as the server has it: reads it once (`reads`), then follows every change (`heard`).
import { hush } from './aloud.js';
import { announce, changed, desk } from './desk.js';
import { take } from './heard.js';
import { Live } from './live.js';
import { readAll, readOpen, readUs } from './reads.js';
import { t } from './words.js';

// Everybody who was left behind was so at the same moment: they do not all ask at once. In a flood it happens every
// second; so often is nothing read.
const SPREAD = 2000,
    REST = 10e3;
// What could not be read is tried again after so long, ever later.
const FIRST_PAUSE = 1000,
    LONGEST_PAUSE = 15e3;

let live = null;
let anew = null;
let readAt = -Infinity;

export async function start() {
    live = new Live({
        state(state) {
            if (desk.link === 'live' && state === 'away') announce(t('link_away'));
            if (desk.link === 'away' && state === 'live') announce(t('link_live'));
            desk.link = state;
            changed();
        },
        fresh: () => readAnew(0),
        back: readUs,
        skipped: () => readAnew(Math.max(Math.random() * SPREAD, readAt + REST - performance.now())),
        event: take,
    });
    await live.run();
}

export function stop() {
    live?.stop();
    live = null;
    clearTimeout(anew);
    anew = null;
    hush();
}

// Everything that is shown, after a pause; what is asked for once more meanwhile is the same reading. What is
// being written, and where one is, stays.
function readAnew(pause, next = FIRST_PAUSE) {
    if (anew !== null && pause > 0) return;
    clearTimeout(anew);
    const ours = live;
    anew = setTimeout(async () => {
        // What is left out from now on is another reason to read.
        anew = null;
        readAt = performance.now();
        readOpen();
        const done = await readAll();
        if (done && pause > 0) announce(t('say_read_anew'));
        // A line that broke meanwhile brings what was missed when it is back; one that holds does not.
        if (!done && ours === live) readAnew(next, Math.min(next * 2, LONGEST_PAUSE));
    }, pause);
}

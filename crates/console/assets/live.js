// The live line: follows `/v1/events`, comes back after every break where it left off, and says how it is.
//
// EventSource cannot send a token, so the stream is read by `fetch`.
import { setBy } from './clock.js';
import { current } from './session.js';
import { parser } from './sse.js';

// The server says something every 15 s, if only that it is there.
const SILENCE = 40e3;
const FIRST_PAUSE = 500,
    LONGEST_PAUSE = 15e3;
const CONNECT_WITHIN = 20e3;
// No more than somebody can look at.
const SCREEN = '?screen=true';

// Told of everything: `state` ('connecting' | 'live' | 'away' | 'refused'), `fresh` (the stream began anew, so
// what is known is to be read again), `back` (it goes on where it was), `skipped` (we were too slow, and a part was
// left out), `event`.
export class Live {
    constructor(tell) {
        Object.assign(this, { tell, last: null, query: SCREEN, stopped: false, pause: FIRST_PAUSE, wake: () => {} });
        this.hurry = () => {
            if (document.visibilityState === 'visible') this.wake();
        };
        window.addEventListener('online', this.hurry);
        document.addEventListener('visibilitychange', this.hurry);
    }

    async run() {
        this.tell.state('connecting');
        while (!this.stopped) {
            try {
                await this.follow();
            } catch (error) {
                if (error.refused) return this.end('refused');
            }
            if (this.stopped) return;
            this.tell.state('away');
            const pause = this.pause * (0.5 + Math.random() / 2);
            this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
            await new Promise(done => {
                this.wake = done;
                setTimeout(done, pause);
            });
        }
    }

    stop() {
        this.end(null);
    }

    end(state) {
        this.stopped = true;
        this.abort?.abort();
        this.wake();
        window.removeEventListener('online', this.hurry);
        document.removeEventListener('visibilitychange', this.hurry);
        if (state) this.tell.state(state);
    }

    // One connection, to its end.
    async follow() {
        const abort = (this.abort = new AbortController());
        let watch = setTimeout(() => abort.abort(), CONNECT_WITHIN);
        try {
            const headers = { authorization: `Bearer ${current()}`, accept: 'text/event-stream' };
            if (this.last !== null) headers['last-event-id'] = this.last;
            const answer = await fetch(`/v1/events${this.query}`, {
                headers,
                signal: abort.signal,
                cache: 'no-store',
                credentials: 'omit',
            });
            setBy(answer);
            if (answer.status === 401 || answer.status === 403) throw Object.assign(new Error(), { refused: true });
            if (answer.status === 400) {
                // Our place is of another feed: begin at the present and read everything anew. If we named none, it is
                // a server of another release, which has one stream for everybody.
                if (this.last === null) this.query = '';
                this.last = null;
                this.pause = FIRST_PAUSE;
            }
            if (!answer.ok) throw new Error(`status ${answer.status}`);
            this.pause = FIRST_PAUSE;
            const resumed = this.last !== null;
            this.tell.state('live');
            if (resumed) this.tell.back();
            else this.tell.fresh();
            const read = parser(({ id, event, data }) => {
                if (id) this.last = id;
                // The place alone moves on: nothing of it was for us.
                if (data === null) return;
                if (event === 'skipped') this.tell.skipped();
                else this.tell.event(event, JSON.parse(data));
            });
            const text = new TextDecoder();
            for (const reader = answer.body.getReader(); ; ) {
                clearTimeout(watch);
                watch = setTimeout(() => abort.abort(), SILENCE);
                const { done, value } = await reader.read();
                if (done) return;
                read(text.decode(value, { stream: true }));
            }
        } finally {
            clearTimeout(watch);
            abort.abort();
        }
    }
}

// Frontdesk chat: the button and the panel on a web page. One file, no dependencies, no build.
// How to embed it, what the page must allow and what is kept in the browser: README.md beside this file.
// Order of reading: words, Shelf (storage), wires (socket, polling), Talk (the conversation), View, the API.
(() => {
'use strict';
// Loaded twice, by two tags or a page that swaps its body: the first one stays.
if (window.frontdesk && window.frontdesk.chat) return;
const called = Array.isArray(window.frontdesk) ? window.frontdesk : [];
const tag = document.currentScript || document.querySelector('script[src*="/chat/widget.js"]');
const born = Date.now();

// All times in milliseconds.
const ACK_WITHIN = 10e3, HELLO_WITHIN = 10e3, POLL_WITHIN = 40e3, BEAT = 30e3, ALIVE_WITHIN = 5e3;
const UNSENT_AFTER = 15e3, ORPHAN_AFTER = 5e3, MINUTE = 6e4;
const RECENT = 24 * 60 * MINUTE, IDLE = 30 * MINUTE;
// Characters of a line, lines that are shown, lines that may wait.
const MAX_TEXT = 4000, MAX_LINES = 500, MAX_UNSENT = 100;

const LANGS = ['en', 'uk', 'ru'];
const WORDS = {
    title: ['Chat with us', 'Чат із нами', 'Чат с нами'],
    close: ['Close chat', 'Закрити чат', 'Закрыть чат'],
    unread: ['new messages: ', 'нових повідомлень: ', 'новых сообщений: '],
    greeting: ['Hello! Write to us, and a person will answer here.',
        'Вітаємо! Напишіть нам: вам відповість людина.',
        'Здравствуйте! Напишите нам: вам ответит человек.'],
    messages: ['Messages', 'Повідомлення', 'Сообщения'],
    label: ['Your message', 'Ваше повідомлення', 'Ваше сообщение'],
    hint: ['Enter sends, Shift+Enter starts a new line', 'Enter надсилає, Shift+Enter починає новий рядок',
        'Enter отправляет, Shift+Enter начинает новую строку'],
    send: ['Send', 'Надіслати', 'Отправить'],
    left: ['Characters left: ', 'Лишилося символів: ', 'Осталось символов: '],
    you: ['You', 'Ви', 'Вы'],
    agent: ['Agent', 'Оператор', 'Оператор'],
    sending: ['sending…', 'надсилається…', 'отправляется…'],
    sent: ['sent', 'надіслано', 'отправлено'],
    read: ['read', 'прочитано', 'прочитано'],
    unsent: ['Not sent.', 'Не надіслано.', 'Не отправлено.'],
    refused: ['Not accepted: shorten or change it.', 'Не прийнято: скоротіть або змініть його.',
        'Не принято: сократите или измените его.'],
    retry: ['Try again', 'Спробувати ще раз', 'Повторить'],
    connecting: ['Connecting…', 'З’єднання…', 'Соединение…'],
    waiting: ['No connection. What you write is kept and goes out when it is back.',
        'Немає зв’язку. Написане збережеться й надійде, щойно він з’явиться.',
        'Нет связи. Написанное сохранится и уйдёт, как только она появится.'],
    stopped: ['Your sign-in has expired. Reload the page to go on; what you wrote is kept.',
        'Термін вашого входу минув. Оновіть сторінку, щоб продовжити; написане збережено.',
        'Срок вашего входа истёк. Обновите страницу, чтобы продолжить; написанное сохранено.'],
    busy: ['We cannot take messages at this moment. Yours is kept and goes out soon.',
        'Зараз ми не можемо прийняти повідомлення. Ваше збережено й скоро надійде.',
        'Сейчас мы не можем принять сообщение. Ваше сохранено и скоро уйдёт.'],
    full: ['Too many messages wait to be sent. Please wait until they are.',
        'Забагато ненадісланих повідомлень. Зачекайте, доки вони надійдуть.',
        'Слишком много неотправленных сообщений. Подождите, пока они уйдут.'],
    typing: [' is writing…', ' пише…', ' пишет…'],
    leave: ['Leave an e-mail or phone, so that we can answer if you go',
        'Залишіть e-mail або телефон, щоб ми відповіли, якщо ви підете',
        'Оставьте e-mail или телефон, чтобы мы ответили, если вы уйдёте'],
    email: ['E-mail', 'E-mail', 'E-mail'],
    phone: ['Phone', 'Телефон', 'Телефон'],
    name: ['Name', 'Ім’я', 'Имя'],
    save: ['Save', 'Зберегти', 'Сохранить'],
    invalid: ['Enter a valid e-mail or a phone number.', 'Вкажіть правильний e-mail або номер телефону.',
        'Укажите верный e-mail или номер телефона.'],
    thanks: ['Thank you! If you leave, we will answer there.', 'Дякуємо! Якщо ви підете, відповімо туди.',
        'Спасибо! Если вы уйдёте, ответим туда.'],
};

// A Map that outlives the page where the browser lets it, and the page's own memory where it does not.
// One key for each unsent line, so that two tabs never overwrite each other's.
class Shelf {
    constructor(prefix) { this.prefix = prefix; this.memory = new Map(); }
    get(key) {
        try { return localStorage.getItem(this.prefix + key) ?? this.memory.get(key) ?? null; }
        catch { return this.memory.get(key) ?? null; }
    }
    set(key, value) {
        try { localStorage.setItem(this.prefix + key, value); } catch { this.memory.set(key, value); }
    }
    delete(key) {
        this.memory.delete(key);
        try { localStorage.removeItem(this.prefix + key); } catch { /* It was never there. */ }
    }
    keys(start) {
        let all = [...this.memory.keys()];
        try {
            const theirs = Object.keys(localStorage).filter(key => key.startsWith(this.prefix));
            all = all.concat(theirs.map(key => key.slice(this.prefix.length)));
        } catch { /* Memory only. */ }
        return all.filter(key => key.startsWith(start)).sort();
    }
}

// A wire carries frames: `on.frame(object)`, and `on.closed(code)` once, `on.opened()` before either.
function socketWire(url, hello, on) {
    const socket = new WebSocket(url.replace(/^http/, 'ws') + '/socket');
    socket.onopen = () => { on.opened(); socket.send(JSON.stringify(hello)); };
    socket.onmessage = event => {
        let frame = null;
        try { frame = JSON.parse(event.data); } catch { return; }
        if (frame && typeof frame === 'object') on.frame(frame);
    };
    let over = false;
    const end = code => { if (!over) { over = true; on.closed(code); } };
    socket.onclose = event => end(event.code);
    return {
        send: frame => { if (socket.readyState === 1) socket.send(JSON.stringify(frame)); },
        // The browser may take minutes to notice that the other side is gone; nobody here waits for it.
        close: () => { socket.close(); end(1000); },
    };
}

// The same frames by long polling, where something between us forbids sockets.
function pollWire(url, hello, on) {
    // The first one has something to ask, so that it is answered at once and not when something happens.
    const queue = [{ type: 'ping' }];
    let over = false, asking = null, must = false;
    const end = code => {
        if (over) return;
        over = true;
        if (asking) asking.abort();
        on.closed(code);
    };
    const ask = async () => {
        const frames = queue.splice(0);
        // Cut short only while it merely waits: what was sent with it would not be known to have arrived.
        must = frames.some(frame => frame.id);
        asking = new AbortController();
        const began = Date.now();
        const { signal } = asking;
        const late = setTimeout(() => end(1006), POLL_WITHIN);
        try {
            const body = JSON.stringify([hello, ...frames]);
            const answer = await fetch(url + '/poll', { method: 'POST', body, signal, credentials: 'omit' });
            if (!answer.ok) { end(answer.status === 429 ? 4008 : 1006); return; }
            on.opened();
            for (const frame of await answer.json()) {
                if (over) return;
                if (frame.type === 'welcome' && !hello.token) hello.visitor = frame.visitor;
                if (frame.type === 'message') hello.after = frame.seq;
                on.frame(frame);
                if (frame.code === 'bad_token' || frame.code === 'expired_token') end(4001);
                if (frame.code === 'too_many' || frame.code === 'slow_down' && !frame.id) end(4008);
            }
        } catch { if (!signal.aborted) end(1006); }
        finally { clearTimeout(late); }
        // A server that has something to say each time is not asked without a pause.
        if (!over) setTimeout(ask, queue.length || Date.now() - began > 500 ? 0 : 500);
    };
    ask();
    return {
        steady: true,
        send: frame => { queue.push(frame); if (asking && !must) asking.abort(); },
        close: () => end(1000),
    };
}

// The same one after a reload.
function tabName() {
    const key = 'frontdesk.chat.tab';
    try {
        if (!sessionStorage.getItem(key)) sessionStorage.setItem(key, uuid());
        return sessionStorage.getItem(key);
    } catch { return uuid(); }
}

function uuid() {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = bytes[6] & 15 | 64;
    bytes[8] = bytes[8] & 63 | 128;
    const hex = [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

// Which person a token is about, as a short digest: no two people on one computer share what is unsent.
function person(token) {
    try {
        const payload = JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')));
        let [a, b] = [0xdeadbeef, 0x41c6ce57];
        for (const char of String(payload.sub)) {
            a = Math.imul(a ^ char.codePointAt(0), 2654435761);
            b = Math.imul(b ^ char.codePointAt(0), 1597334677);
        }
        return (a >>> 0).toString(36) + (b >>> 0).toString(36) + '.';
    } catch { return 'token.'; }
}

// One visitor's chat: what was said, what is unsent, and the connection. It knows no DOM.
class Talk {
    constructor(server, source, token, changed) {
        Object.assign(this, { url: server + encodeURIComponent(source), source, token, changed });
        this.lines = [];        // In order. `seq` once recorded; `state` of the visitor's own ones.
        this.last = 0;          // The last recorded line we have.
        this.state = 'idle';    // idle, connecting, online, waiting, stopped
        this.notice = null;     // What the visitor should know, a key of WORDS.
        this.failures = this.unopened = this.order = this.pausedUntil = this.readBy = 0;
        this.tab = tabName();
        this.anonymous = new Shelf(`frontdesk.chat.${source}.`);
        this.shelf = this.anonymous;
        this.locks = navigator.locks || null;
        this.listeners = new AbortController();
        const { signal } = this.listeners;
        const listen = (what, event, act) => what.addEventListener(event, act, { signal });
        listen(window, 'online', () => this.look());
        listen(window, 'offline', () => this.beat());
        listen(document, 'visibilitychange', () => { if (!document.hidden) this.look(); });
        listen(window, 'pageshow', event => { if (event.persisted) this.look(); });
        // A page with an open socket cannot be kept for the way back.
        listen(window, 'pagehide', () => { if (this.wire) this.wire.close(); });
        listen(window, 'storage', event => this.elsewhere(event));
        this.clock = setInterval(() => this.tick(), 1e3);
    }

    // Reads what earlier pages left, and connects if the visitor may be waiting for an answer.
    async begin() {
        await this.know();
        this.unshelve();
        if (this.unsent().length || Date.now() - Number(this.shelf.get('at')) < RECENT) this.connect();
        this.changed();
    }

    // Asks the page for its token, if it gives them out, and finds the shelf of that person.
    async know() {
        let token = this.token;
        try { if (typeof token === 'function') token = await token(); } catch { token = null; }
        this.jwt = token || null;
        if (!this.jwt || this.shelf !== this.anonymous) return;
        this.shelf = new Shelf(this.anonymous.prefix + '~' + person(this.jwt));
        // Who signs in takes along what they have just written, but not what somebody left here yesterday.
        for (const key of this.anonymous.keys('out.')) {
            if (born - parseInt(key.split('.')[1], 10) > IDLE) continue;
            this.shelf.set(key, this.anonymous.get(key));
            this.anonymous.delete(key);
        }
    }

    end() {
        this.over = true;
        this.listeners.abort();
        clearInterval(this.clock);
        clearTimeout(this.retry);
        if (this.wire) this.wire.close();
    }

    // The next one at this computer sees nothing of this one.
    forget() {
        this.end();
        for (const shelf of new Set([this.shelf, this.anonymous])) {
            for (const key of shelf.keys('')) if (!key.startsWith('~')) shelf.delete(key);
            // So that the other tabs forget too.
            shelf.set('reset', String(Date.now()));
        }
    }

    // --- what is unsent

    unsent() { return this.lines.filter(line => line.key); }

    // Takes in what stands on the shelf: left by an earlier page, or written in another tab.
    unshelve() {
        const keys = this.shelf.keys('out.');
        for (const key of keys) {
            const id = key.split('.')[2];
            if (this.lines.some(line => line.id === id)) continue;
            const at = parseInt(key.split('.')[1], 10);
            const text = this.shelf.get(key) || '';
            this.put({ id, key, text, at, since: Math.max(at, born), state: 'sending' });
        }
        // What another tab took off was answered there.
        for (const line of this.unsent()) {
            if (keys.includes(line.key)) continue;
            this.settle(line, this.shelf.get('refused') === line.id ? 'refused' : 'sent');
        }
    }

    // Gives a reason, a key of WORDS, when it cannot.
    write(text) {
        if (this.unsent().length >= MAX_UNSENT) return 'full';
        const [id, at] = [uuid(), Date.now()];
        const key = `out.${at}-${String(this.order).padStart(6, '0')}.${id}.${this.tab}`;
        this.shelf.set(key, text);
        this.put({ id, key, text, at, since: at, state: 'sending' });
        this.touch();
        this.connect();
        this.flush();
        this.changed();
        return null;
    }

    again() {
        for (const line of this.unsent()) Object.assign(line, { state: 'sending', since: Date.now() });
        this.pausedUntil = 0;
        if (this.state === 'connecting' && this.wire) this.wire.close();
        this.look();
        this.flush();
        this.changed();
    }

    // One at a time, in order: the next one leaves when this one is acknowledged.
    flush() {
        const now = Date.now();
        if (this.state !== 'online' || this.sending || now < this.pausedUntil) return;
        // Each tab sends its own, so that no frozen one is waited for. What its tab seems to have left is
        // taken over by the tab that leads, in the end by any. Should two send one line, its id makes it one.
        const left = this.leading ? ORPHAN_AFTER : UNSENT_AFTER;
        const line = this.unsent().find(line => line.key.endsWith(this.tab) || now - line.at > left);
        if (!line) return;
        this.sending = line;
        this.wire.send({ type: 'message', id: line.id, text: line.text });
        this.deadline = Date.now() + ACK_WITHIN;
    }

    settle(line, state) {
        if (!line) return;
        if (state === 'refused') this.shelf.set('refused', line.id);
        if (line.key) this.shelf.delete(line.key);
        Object.assign(line, { key: null, state });
        if (this.sending === line) this.sending = this.deadline = null;
    }

    // Asks to be the one tab of this browser that sends what others have left.
    lead() {
        if (!this.locks) return;
        this.queue = new AbortController();
        this.locks.request(this.shelf.prefix + 'sender', { signal: this.queue.signal }, () => {
            if (this.state !== 'online') return null;
            this.leading = true;
            return new Promise(release => { this.release = release; });
        }).catch(() => {});
    }

    // --- the connection

    become(state) { this.state = state; this.changed(); }

    async connect() {
        if (this.wire || this.dialling || this.over || this.state === 'stopped') return;
        clearTimeout(this.retry);
        const turn = this.dialling = {};
        this.become('connecting');
        if (this.renew) { this.renew = false; await this.know(); }
        // Two tabs that are new at once must not become two visitors.
        const alone = this.locks && !this.jwt && !this.shelf.get('visitor');
        try {
            const dial = () => this.dial();
            await (alone ? this.locks.request(this.shelf.prefix + 'newcomer', dial) : dial());
        } catch {
            // The browser forbids this connection, or locks, here.
            this.locks = null;
            this.closed(1006, 0);
        }
        if (this.dialling === turn) this.dialling = null;
    }

    // Done when the server has said welcome, or never will.
    dial() {
        return new Promise(done => {
            if (this.over) { done(); return; }
            const visitor = this.jwt ? null : this.shelf.get('visitor');
            // No query and no fragment: they may hold the page's own secrets.
            const url = (location.origin + location.pathname).slice(0, 1000);
            const page = { url, title: document.title.slice(0, 200) };
            const hello = { type: 'hello', visitor, token: this.jwt, after: this.last, page };
            const began = Date.now();
            this.greeted = visitor;
            this.heard = began;
            this.deadline = began + HELLO_WITHIN;
            // Two sockets in a row never opened: something between us forbids them, or nobody is there.
            const polls = this.unopened >= 2;
            let opened = false;
            const wire = this.wire = (polls ? pollWire : socketWire)(this.url, hello, {
                opened: () => { opened = true; },
                frame: frame => {
                    if (this.wire !== wire) return;
                    this.heard = Date.now();
                    this.hear(frame);
                    done();
                },
                closed: code => {
                    // Polling that ends, for whatever reason, gives sockets another chance.
                    this.unopened = opened || polls ? 0 : this.unopened + 1;
                    if (this.wire === wire) this.closed(code, Date.now() - began);
                    done();
                },
            });
        });
    }

    closed(code, lasted) {
        this.wire = this.sending = this.deadline = this.dialling = null;
        this.leading = false;
        if (this.queue) this.queue.abort();
        if (this.release) this.release();
        this.queue = this.release = null;
        if (this.over) return;
        if (code === 4001) {
            // The page may have a fresh token; without one there is no use in asking again.
            if (typeof this.token !== 'function' || this.renewed) { this.become('stopped'); return; }
            this.renew = this.renewed = true;
        }
        this.failures = lasted > 10e3 ? 1 : this.failures + 1;
        this.become('waiting');
        if (this.dormant()) return;
        // Scattered, so that those who lost one server do not all come back in the same second.
        const most = 500 * 2 ** Math.min(this.failures, 6);
        let wait = Math.min(30e3, 1e3 + Math.random() * most);
        if (code === 4008 || code === 4009) wait = MINUTE + Math.random() * 10e3;
        this.retry = setTimeout(() => this.connect(), wait);
    }

    // Nobody looks and nothing was said for long: connects again when somebody does.
    dormant() {
        return document.hidden && !this.unsent().length && Date.now() - Number(this.shelf.get('at')) > IDLE;
    }

    // Something changed for the better, perhaps: look at once.
    look() {
        if (this.wire) this.beat();
        else if (this.state === 'waiting') { this.failures = 0; this.connect(); }
    }

    // Any answer will do, and none in time means that nobody is there.
    beat() {
        if (this.state !== 'online' || this.wire.steady) return;
        this.wire.send({ type: 'ping' });
        this.deadline = Math.min(this.deadline || Infinity, Date.now() + ALIVE_WITHIN);
        this.beaten = Date.now();
    }

    tick() {
        const now = Date.now();
        const online = this.state === 'online';
        if (this.wire && this.deadline && now > this.deadline) this.wire.close();
        else if (online && this.dormant()) this.wire.close();
        else if (online && now - Math.max(this.heard, this.beaten || 0) > BEAT) this.beat();
        if (this.typist && now > this.typist.until) { this.typist = null; this.changed(); }
        for (const line of this.unsent()) {
            if (line.state !== 'sending' || now - line.since <= UNSENT_AFTER) continue;
            line.state = 'unsent';
            this.changed();
        }
        this.flush();
        this.tell();
    }

    // --- what the server says

    hear(frame) {
        if (this.state === 'online' && !this.sending) this.deadline = null;
        const acts = {
            welcome: 'welcomed', ack: 'acked', message: 'said',
            typing: 'typed', read: 'seen', error: 'failed',
        };
        const act = Object.hasOwn(acts, frame.type) && acts[frame.type];
        if (!act) return;
        this[act](frame);
        this.changed();
    }

    welcomed(frame) {
        const known = this.shelf.get('visitor');
        if (!this.jwt && known && known !== this.greeted && known !== frame.visitor) {
            // Another tab was quicker.
            this.wire.close();
            return;
        }
        if (!this.jwt) this.shelf.set('visitor', this.visitor = frame.visitor);
        this.renewed = false;
        this.notice = null;
        this.deadline = null;
        // Everything up to here was said before we came.
        if (this.history === undefined) this.history = frame.seq || 0;
        this.become('online');
        this.tellAt = 0;
        this.tell();
        this.lead();
        this.flush();
    }

    acked(frame) {
        this.notice = null;
        if (this.claims && this.claims.id === frame.id) {
            this.claims = null;
            this.shelf.set('told', '1');
        }
        const line = this.lines.find(line => line.id === frame.id && line.key);
        if (line) this.settle(line, 'sent');
        this.flush();
    }

    said(frame) {
        if (!Number.isInteger(frame.seq) || this.lines.some(line => line.seq === frame.seq)) return;
        const from = frame.from === 'visitor' ? 'visitor' : 'agent';
        this.last = Math.max(this.last, frame.seq);
        const mine = from === 'visitor' && this.lines.find(line => line.id === frame.id && !line.seq);
        const recorded = { seq: frame.seq, at: Date.parse(frame.at) || Date.now(), text: String(frame.text) };
        if (mine) {
            // It is on the timeline, so it was taken, whatever became of the ack.
            this.settle(mine, 'sent');
            Object.assign(mine, recorded);
            this.sort();
        } else {
            const state = from === 'visitor' ? 'sent' : null;
            this.put({ id: frame.id, from, name: frame.name, state, ...recorded });
        }
        if (frame.seq > this.history) this.touch();
        // Nobody tells what an agent has read; but who answers, or begins to, has.
        if (from === 'agent') { this.readBy = Math.max(this.readBy, frame.seq); this.typist = null; }
        this.flush();
    }

    typed(frame) {
        this.typist = { name: frame.name, until: Date.now() + 6e3 };
        this.readBy = this.last;
    }

    // In another tab, or on another device.
    seen(frame) { this.see(frame.seq || 0); }

    failed(frame) {
        if (frame.code === 'bad_claim') {
            this.claims = null;
            this.notice = 'invalid';
        }
        const line = this.sending;
        if (!line || frame.id && frame.id !== line.id) return;
        if (frame.code === 'not_now' || frame.code === 'slow_down') {
            this.pausedUntil = Date.now() + Math.min(Number(frame.retry_after) || 5, 60) * 1e3;
            this.sending = this.deadline = null;
            this.notice = 'busy';
        } else if (['too_long', 'empty', 'bad_id'].includes(frame.code)) {
            this.settle(line, 'refused');
            this.flush();
        }
    }

    // --- the lines

    put(line) {
        line.order = ++this.order;
        if (!line.from) line.from = 'visitor';
        this.lines.push(line);
        this.sort();
        if (this.lines.length > MAX_LINES) this.lines.splice(0, this.lines.length - MAX_LINES);
    }

    // As the agents see them: by when they came, because after an outage an older line may be recorded, and
    // numbered, behind a newer one. What is not recorded yet comes last, as it was written.
    sort() {
        const at = line => line.seq ? line.at : Number.MAX_VALUE;
        this.lines.sort((a, b) => at(a) - at(b) || (a.seq || 0) - (b.seq || 0) || a.order - b.order);
    }

    touch() { this.shelf.set('at', String(Date.now())); }

    seenUpTo() { return Number(this.shelf.get('seen')) || 0; }
    unread() { return this.lines.filter(line => line.from === 'agent' && line.seq > this.seenUpTo()).length; }

    see(seq) { if (seq > this.seenUpTo()) { this.shelf.set('seen', String(seq)); this.changed(); } }

    // The visitor has the last lines before their eyes.
    reads() {
        if (!this.unread()) return;
        this.see(this.last);
        if (this.state === 'online') this.wire.send({ type: 'read', seq: this.last });
    }

    types() {
        if (this.state !== 'online' || Date.now() - (this.typedAt || 0) < 3e3) return;
        this.typedAt = Date.now();
        this.wire.send({ type: 'typing' });
    }

    identify(claims) {
        // Told when the visitor connects: a page that knows everybody must not connect everybody.
        this.claims = { id: uuid(), ...claims };
        this.tellAt = 0;
        this.tell();
        this.changed();
    }

    // Again and again until it is acknowledged.
    tell() {
        if (!this.claims || this.state !== 'online' || Date.now() < this.tellAt) return;
        this.tellAt = Date.now() + UNSENT_AFTER;
        this.wire.send({ type: 'identify', ...this.claims });
    }

    elsewhere(event) {
        if (!event.key || !event.key.startsWith(this.shelf.prefix)) return;
        const key = event.key.slice(this.shelf.prefix.length);
        if (key === 'reset') { this.onreset(); return; }
        if (key === 'visitor' && event.newValue && this.visitor && this.visitor !== event.newValue) {
            // Without locks, two new tabs became two visitors; the later one gives way.
            if (this.wire) this.wire.close();
            this.look();
        }
        this.unshelve();
        this.flush();
        this.changed();
    }
}

// What is said of the host is important, because a page's rules for its elements come before it otherwise.
const STYLE = `
:host{all:initial!important;position:fixed!important;inset:auto 16px 16px auto!important;z-index:2147483000!important;font:medium/1.4 system-ui,sans-serif!important;color:#1c2330!important}
:host([data-position=left]){inset:auto auto 16px 16px!important}
@media print{:host{display:none!important}}
*{box-sizing:border-box;margin:0;font:inherit}
[hidden]{display:none!important}
.out{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
button{min-width:44px;min-height:44px;border:0;padding:0 .6em;background:none;color:inherit;cursor:pointer}
:focus-visible{outline:3px solid var(--ink);outline-offset:2px}
.launch{display:block;position:relative;width:60px;height:60px;margin-inline-start:auto;border:2px solid var(--ink);border-radius:50%;background:var(--accent);color:var(--on);box-shadow:0 0 0 2px #fff,0 4px 14px #0006}
:host([data-position=left]) .launch{margin-inline:0 auto}
svg{display:block;width:28px;height:28px;margin:auto;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.count{position:absolute;inset-block-start:-6px;inset-inline-end:-6px;min-width:1.6em;border:2px solid #fff;border-radius:1em;background:#b3001b;color:#fff;font-size:.8em;font-weight:700}
.panel{display:flex;flex-direction:column;width:min(380px,calc(100vw - 32px));height:min(600px,calc(100vh - 108px));height:min(600px,calc(100dvh - 108px));margin-block-end:12px;border:1px solid #6b7280;border-radius:14px;overflow:hidden;background:#fff;box-shadow:0 8px 30px #0004}
header{display:flex;align-items:center;background:var(--accent);color:var(--on);border-block-end:2px solid var(--ink)}
header :focus-visible{outline-color:var(--on);outline-offset:-4px}
h2{flex:1;padding:.5em .9em;font-weight:600;font-size:1.1em}
.state,.alert,.leave{padding:.4em 1em;font-size:.9em;background:#fff4d6;color:#5c3d00}
.alert{background:#fdeaea;color:#8f0014}
:is(.state,.alert):empty{display:none}
.log{flex:1;min-height:4em;overflow-y:auto;overscroll-behavior:contain;padding:.8em}
.log:focus-visible{outline-offset:-3px}
.greeting{color:#4b5563;text-align:center;padding:.6em}
.line{display:flex;flex-direction:column;align-items:flex-start;margin-block-end:.7em}
.mine{align-items:flex-end}
.text{max-width:85%;padding:.5em .8em;border:1px solid #d5d9e0;border-radius:12px;background:#f1f3f6;white-space:pre-wrap;overflow-wrap:anywhere}
.mine .text{background:var(--accent);color:var(--on);border-color:var(--ink)}
.text a{color:inherit}
.meta{font-size:.8em;color:#4b5563}
.bad{color:#8f0014;font-weight:600}
.meta button,.leave{text-decoration:underline;color:var(--ink)}
.typing{min-height:1.5em;padding-inline:1em;font-size:.85em;color:#4b5563}
.leave{background:#f1f3f6;text-align:start}
form{display:flex;flex-wrap:wrap;gap:.5em;padding:.6em;border-block-start:1px solid #d5d9e0}
.who{flex-direction:column;overflow-y:auto;flex-wrap:nowrap;max-height:60%}
textarea,input{flex:1;min-width:0;min-height:44px;padding:.6em;border:1px solid #6b7280;border-radius:8px;background:#fff;color:inherit}
textarea{resize:none;height:44px;max-height:8em}
.go{background:var(--ink);color:#fff;border-radius:8px}
.hint{flex-basis:100%;font-size:.8em;color:#4b5563}
@media (max-width:30em),(max-height:26em){
.panel{position:fixed;inset:0;width:auto;height:100dvh;margin:0;border:0;border-radius:0}
.opened .launch{display:none}}
@media (prefers-reduced-motion:no-preference){.panel{animation:rise .18s ease-out}@keyframes rise{from{opacity:0;transform:translateY(12px)}}}
@media (forced-colors:active){.text,.go,header{border:1px solid}}`;

// How light a colour is, and how well two can be told apart (WCAG 2.2, 1.4.3).
const luminance = rgb => rgb.map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
const onWhite = rgb => 1.05 / (luminance(rgb) + 0.05);

function el(name, attributes, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
        if (typeof value === 'function') node.addEventListener(key, value);
        else if (value !== null && value !== false) node.setAttribute(key, value === true ? '' : value);
    }
    node.append(...children);
    return node;
}

function icon(path) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 24 24');
    svg.setAttribute('aria-hidden', 'true');
    svg.appendChild(document.createElementNS(svg.namespaceURI, 'path')).setAttribute('d', path);
    return svg;
}

// Sets a text only when it is another one, because a live region says it again.
const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };

// Addresses in a text become links; everything else stays the text it is.
function linked(text) {
    return text.split(/(https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]}])/).map((part, i) =>
        i % 2 ? el('a', { href: part, target: '_blank', rel: 'noopener noreferrer' }, part) : part);
}

// What the visitor sees. It reads the talk and tells it what the visitor did.
class View {
    constructor(settings) {
        this.settings = settings;
        this.host = document.createElement('frontdesk-chat');
        this.root = this.host.attachShadow({ mode: 'open' });
        this.small = matchMedia('(max-width:30em),(max-height:26em)');
        this.small.addEventListener('change', () => this.update());
        document.addEventListener('visibilitychange', () => this.update());
        this.style();
    }

    // Constructed, so that the page's policy needs no `style-src` for us.
    style() {
        try {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(STYLE);
            this.root.adoptedStyleSheets = [sheet];
        } catch { this.sheet = el('style', { nonce: tag && tag.nonce || null }, STYLE); }
    }

    lang() {
        const wanted = [this.settings.lang, document.documentElement.lang, ...navigator.languages];
        const short = wanted.map(lang => String(lang || '').slice(0, 2).toLowerCase());
        return short.find(lang => LANGS.includes(lang)) || LANGS[0];
    }

    // A colour that text can be read on, and a darker one that is read on white and on the lightest grey.
    colours() {
        const probe = this.root.appendChild(el('i', { hidden: true }));
        probe.style.color = '#1d4ed8';
        if (this.settings.color) probe.style.color = this.settings.color;
        const parts = (/^rgba?\(([^)]+)\)/.exec(getComputedStyle(probe).color) || [0, '29,78,216'])[1];
        probe.remove();
        const accent = parts.split(/[,\s/]+/).slice(0, 3).map(Number);
        let ink = accent;
        while (onWhite(ink) < 5.2) ink = ink.map(part => part * 0.92);
        this.host.style.setProperty('--accent', `rgb(${accent})`);
        this.host.style.setProperty('--on', onWhite(accent) < 4.5 ? '#000' : '#fff');
        this.host.style.setProperty('--ink', `rgb(${ink.map(Math.round)})`);
    }

    // Builds everything anew, in the language of now; what was open or half written stays.
    build() {
        if (!this.host.isConnected) document.body.append(this.host);
        const lang = this.lang();
        const t = this.t = key => WORDS[key][LANGS.indexOf(lang)];
        const [draft, within] = [this.box ? this.box.value : '', this.root.activeElement];
        this.nodes = new Map();
        // The visitor's own country says how hours are written.
        const locale = navigator.languages.find(one => one.startsWith(lang)) || lang;
        this.time = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' });
        this.day = new Intl.DateTimeFormat(locale, { dateStyle: 'short', timeStyle: 'short' });
        const text = (name, attributes) => this[name] = el('p', { class: name, ...attributes });
        const field = (name, type, autocomplete) => el('label', null, t(name),
            el('input', { name, type, autocomplete, maxlength: 254, 'aria-describedby': 'wrong' }));

        this.box = el('textarea', {
            id: 'box', rows: 1, maxlength: MAX_TEXT, dir: 'auto', enterkeyhint: 'send',
            'aria-describedby': 'hint',
            // While an input method composes, Enter is its own.
            keydown: event => {
                if (event.key !== 'Enter' || event.shiftKey) return;
                if (event.isComposing || event.keyCode === 229) return;
                event.preventDefault();
                this.send();
            },
            input: () => { this.talk.types(); this.fit(); },
        });
        this.box.value = draft;
        this.old = el('div');
        this.fresh = el('div', { role: 'log', 'aria-relevant': 'additions', 'aria-label': t('messages') });
        this.log = el('div', {
            class: 'log', tabindex: 0, role: 'group', 'aria-label': t('messages'), scroll: () => this.reads(),
        }, el('p', { class: 'greeting' }, t('greeting')), this.old, this.fresh);
        this.who = el('form', {
            class: 'who', hidden: true, novalidate: true, 'aria-label': t('leave'),
            submit: event => this.identify(event),
        }, field('email', 'email', 'email'), field('phone', 'tel', 'tel'), field('name', 'text', 'name'),
            text('wrong', { id: 'wrong', role: 'alert', class: 'bad' }),
            el('button', { class: 'go' }, t('save')));
        const ask = { class: 'leave', 'aria-expanded': 'false', click: () => this.ask() };
        this.leave = el('button', ask, t('leave'));
        const close = { 'aria-label': t('close'), click: () => this.close() };
        this.panel = el('div', {
            class: 'panel', id: 'panel', role: 'dialog', 'aria-labelledby': 'title', hidden: true,
            keydown: event => this.key(event),
        }, el('header', null, el('h2', { id: 'title' }, t('title')),
            el('button', close, icon('M6 6l12 12M18 6L6 18'))),
            text('state', { role: 'status' }), this.log,
            text('typing', { 'aria-hidden': 'true' }),
            text('alert', { role: 'alert' }), this.leave, this.who,
            el('form', { submit: event => { event.preventDefault(); this.send(); } },
                el('label', { for: 'box', class: 'out' }, t('label')), this.box,
                el('button', { class: 'go', 'aria-label': t('send') }, icon('M4 12l16-8-6 16-3-7z')),
                text('hint', { id: 'hint' })));
        this.count = el('span', { class: 'count', 'aria-hidden': 'true' });
        this.name = el('span', { class: 'out' });
        this.launch = el('button', {
            class: 'launch', 'aria-haspopup': 'dialog', 'aria-controls': 'panel', click: () => this.toggle(),
        }, icon('M4 5h16v11H9l-5 4z'), this.name, this.count);
        this.section = el('section', { 'aria-label': t('title'), lang, dir: 'ltr' }, this.panel, this.launch,
            text('spoken', { class: 'out', role: 'status' }));
        // What is typed here is not for the page's own shortcuts, which would not know that it is typed.
        for (const kind of ['keydown', 'keypress', 'keyup']) {
            this.section.addEventListener(kind, event => event.stopPropagation());
        }
        this.root.replaceChildren(...(this.sheet ? [this.sheet] : []), this.section);
        this.host.dataset.position = this.settings.position === 'left' ? 'left' : 'right';
        this.colours();
        this.update();
        this.fit();
        if (within && this.shown) this.box.focus();
        else if (within) this.launch.focus();
    }

    // --- what the visitor does

    open() {
        if (this.shown) return;
        this.opener = document.activeElement;
        this.shown = true;
        this.talk.connect();
        this.update();
        this.log.scrollTop = this.log.scrollHeight;
        this.reads();
        this.box.focus();
    }

    close() {
        this.shown = false;
        this.update();
        const back = this.opener;
        if (back && back.isConnected && back !== document.body && back !== this.host) back.focus();
        else this.launch.focus();
    }

    toggle() { if (this.shown) this.close(); else this.open(); }

    key(event) {
        if (event.key === 'Escape' && !event.isComposing) { event.stopPropagation(); this.close(); return; }
        // Over the whole screen there is nothing else to go to.
        if (event.key !== 'Tab' || !this.small.matches) return;
        const stops = [...this.panel.querySelectorAll('button,a,input,textarea,[tabindex]')]
            .filter(node => node.offsetParent);
        const [end, next] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
        if (this.root.activeElement === end) { event.preventDefault(); next.focus(); }
    }

    send() {
        const text = this.box.value.trim();
        if (!text) return;
        const problem = this.talk.write(text);
        this.problem = problem;
        this.thanked = false;
        if (!problem) this.box.value = '';
        this.fit();
        this.update();
        this.log.scrollTop = this.log.scrollHeight;
        this.box.focus();
    }

    fit() {
        this.box.style.height = 'auto';
        this.box.style.height = this.box.scrollHeight + 2 + 'px';
        const left = MAX_TEXT - this.box.value.length;
        put(this.hint, left < 200 ? this.t('left') + left : this.t('hint'));
    }

    ask() {
        this.who.hidden = !this.who.hidden;
        this.leave.setAttribute('aria-expanded', String(!this.who.hidden));
        if (!this.who.hidden) this.who.elements.email.focus();
    }

    identify(event) {
        event.preventDefault();
        const { email, phone, name } = this.who.elements;
        const given = [email, phone, name].map(input => [input.name, input.value.trim()]);
        const claims = Object.fromEntries(given.filter(([, value]) => value));
        const wrong = [
            (claims.email || !claims.phone) && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(claims.email) && email,
            claims.phone && !/^\+?[\d\s().-]{6,24}$/.test(claims.phone) && phone,
        ].filter(Boolean);
        for (const input of [email, phone]) input.setAttribute('aria-invalid', String(wrong.includes(input)));
        put(this.wrong, wrong.length ? this.t('invalid') : '');
        if (wrong.length) { wrong[0].focus(); return; }
        this.who.hidden = true;
        this.thanked = true;
        this.talk.identify(claims);
        this.box.focus();
    }

    reads() {
        const { scrollTop, clientHeight, scrollHeight } = this.log;
        this.atEnd = scrollTop + clientHeight > scrollHeight - 40;
        if (this.shown && !document.hidden && this.atEnd) this.talk.reads();
    }

    // --- what the visitor sees

    update() {
        if (!this.section || !this.talk) return;
        const { t, talk } = this;
        const stuck = this.atEnd !== false;
        this.panel.hidden = !this.shown;
        this.section.classList.toggle('opened', !!this.shown);
        this.panel.setAttribute('aria-modal', String(this.small.matches));
        this.launch.setAttribute('aria-expanded', String(!!this.shown));
        const unread = talk.unread();
        this.count.hidden = !unread;
        put(this.count, unread ? String(unread) : '');
        put(this.name, t('title') + (unread ? `, ${t('unread')}${unread}` : ''));

        this.place();
        const told = talk.shelf.get('told') || talk.claims || talk.jwt;
        this.leave.hidden = !!told || !talk.lines.length;
        const state = talk.state in WORDS ? t(talk.state) : this.thanked && !talk.notice ? t('thanks') : '';
        put(this.state, state);
        const problem = this.problem || talk.notice;
        put(this.alert, problem ? t(problem) : '');
        const typist = talk.typist && (talk.typist.name || t('agent'));
        put(this.typing, typist ? typist + t('typing') : '');
        // Said once in a while: whoever listens wants to read, too.
        if (typist && Date.now() - (this.saidTyping || 0) > 20e3) {
            this.saidTyping = Date.now();
            this.say(this.typing.textContent);
        }
        if (this.shown && stuck) this.log.scrollTop = this.log.scrollHeight;
        this.reads();
    }

    say(text) { put(this.spoken, text); }

    // What was said before we came stands outside the live region, or it would all be read aloud.
    place() {
        const { talk, nodes } = this;
        const next = new Map([this.old, this.fresh].map(list => [list, list.firstChild]));
        const gone = new Set(nodes.keys());
        for (const line of talk.lines) {
            gone.delete(line);
            let node = nodes.get(line);
            if (!node) {
                nodes.set(line, node = this.bubble(line));
                const isNews = line.from === 'agent' && line.seq > Math.max(talk.history, talk.seenUpTo());
                if (isNews && !this.shown) {
                    this.say(`${line.name || this.t('agent')}: ${line.text}`);
                }
            }
            this.paint(node, line);
            const list = line.seq && line.seq <= talk.history ? this.old : this.fresh;
            if (next.get(list) === node) next.set(list, node.nextSibling);
            else list.insertBefore(node, next.get(list));
        }
        for (const line of gone) { nodes.get(line).remove(); nodes.delete(line); }
    }

    bubble(line) {
        const mine = line.from === 'visitor';
        const name = mine ? this.t('you') : line.name || this.t('agent');
        const at = new Date(line.at);
        const today = at.toDateString() === new Date().toDateString();
        return el('div', { class: mine ? 'line mine' : 'line' },
            el('p', { class: mine ? 'out' : 'meta' }, name + ':'),
            el('p', { class: 'text', dir: 'auto' }, ...linked(line.text)),
            el('p', { class: 'meta' },
                el('time', { datetime: at.toISOString() }, (today ? this.time : this.day).format(at)), ' ',
                el('span')));
    }

    paint(node, line) {
        if (line.from !== 'visitor') return;
        const state = line.seq && line.seq <= this.talk.readBy ? 'read' : line.state;
        if (node.dataset.state === state) return;
        node.dataset.state = state;
        const isBad = state === 'unsent' || state === 'refused';
        const span = el('span', { class: isBad ? 'bad' : '' }, this.t(state));
        if (state === 'unsent') {
            const again = () => { this.box.focus(); this.talk.again(); };
            span.append(' ', el('button', { click: again }, this.t('retry')));
            this.say(this.t('unsent'));
        }
        node.lastChild.lastChild.replaceWith(span);
    }
}

// --- what the page may call

const settings = { ...(tag ? tag.dataset : {}) };
let view = null, talk = null;

function start() {
    if (talk) talk.end();
    const server = settings.server || new URL('.', tag ? tag.src : location.href).href;
    let soon = false;
    // Many things may change at once and are shown once.
    const changed = () => {
        if (soon) return;
        soon = true;
        queueMicrotask(() => { soon = false; if (view.talk === mine) view.update(); });
    };
    const mine = talk = new Talk(server, settings.source, settings.token, changed);
    talk.onreset = () => { settings.token = null; talk.end(); start(); };
    view.talk = talk;
    view.build();
    talk.begin().then(() => { if (view.shown && talk === mine) talk.connect(); });
}

const api = {
    /** Starts the chat, or changes `source`, `token`, `lang`, `color`, `position`. */
    chat(options) {
        const before = [settings.source, settings.token].join();
        Object.assign(settings, options);
        if (!settings.source) return;
        if (!view) view = new View(settings);
        if (!talk || before !== [settings.source, settings.token].join()) start();
        else view.build();
    },
    /** What the visitor told the page about themselves: `email`, `phone`, `name`. A claim, not a proof. */
    identify(claims) { if (talk) talk.identify({ ...claims }); },
    open() { if (view) view.open(); },
    close() { if (view && view.shown) view.close(); },
    /** Forgets this visitor here: for when somebody signs out. */
    reset() { if (talk) { talk.forget(); settings.token = null; start(); } },
    /** What a page may call before this file has come: `push(['open'])`. */
    push(...calls) { for (const [name, ...rest] of calls) api[name](...rest); },
};
window.frontdesk = api;

document.addEventListener('click', event => {
    const button = event.target.closest && event.target.closest('[data-frontdesk]');
    if (!button || !view) return;
    const [act, value] = button.dataset.frontdesk.split(':');
    if (act === 'open') api.open();
    if (act === 'lang') api.chat({ lang: value });
});

function boot() {
    api.chat({});
    for (const call of called) api.push(call);
    // Pages that swap their body lose what hangs on it, and some change their language without a reload.
    const watch = new MutationObserver(() => {
        if (!view || view.host.isConnected) return;
        document.body.append(view.host);
        hang();
    });
    const hang = () => {
        watch.disconnect();
        watch.observe(document.documentElement, { childList: true });
        watch.observe(document.body, { childList: true });
    };
    hang();
    new MutationObserver(() => { if (view && !settings.lang) view.build(); })
        .observe(document.documentElement, { attributeFilter: ['lang'] });
}
if (document.body) boot(); else document.addEventListener('DOMContentLoaded', boot);
})();

// What the page says, in the language its user reads. One table per language, with the same keys.
import en from './words/en.js';
import ru from './words/ru.js';
import uk from './words/uk.js';

const TABLES = { uk, en, ru };
export const LANGUAGES = { uk: 'Українська', en: 'English', ru: 'Русский' };
// Survives signing out: it is about this browser, not about a client.
const KEY = 'frontdesk.set.language';

let language = first([localStorage.getItem(KEY), ...navigator.languages]);
let plural = new Intl.PluralRules(language);
document.documentElement.lang = language;

// The first of these that we speak.
function first(wanted) {
    const short = wanted.filter(Boolean).map(tag => tag.toLowerCase().split('-')[0]);
    return short.find(tag => tag in TABLES) ?? 'en';
}

export const spoken = () => language;

// How numbers and times are written: as the browser is set up, if that is for this language.
export const written = () => navigator.languages.find(tag => tag.toLowerCase().split('-')[0] === language) ?? language;

export function speak(chosen) {
    language = first([chosen]);
    plural = new Intl.PluralRules(language);
    document.documentElement.lang = language;
    localStorage.setItem(KEY, language);
}

// The words for `key`, with `{name}` filled in; `n` chooses the form where there are several.
export function t(key, values = {}) {
    let words = TABLES[language][key] ?? key;
    if (typeof words === 'object') words = words[plural.select(values.n)] ?? words.other;
    return words.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export const has = key => key in TABLES[language];

// For words of the server that may be new to us: their translation, or the word itself.
export const said = (prefix, word) => TABLES[language][`${prefix}_${word}`] ?? String(word ?? '').replaceAll('_', ' ');

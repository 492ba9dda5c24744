// What time it is where the promises are made. A computer's own clock may be minutes off, and nobody's work is to
// depend on it: what the server says with every answer goes before it.

// In ms. The server says whole seconds, and its answer is on its way for a while: what is no farther apart is the same.
const SAME = 3e3;
let apart = 0;

export const present = () => Date.now() + apart;

// Takes the time from an answer.
export function setBy(answer) {
    const said = Date.parse(answer.headers.get('date'));
    if (Number.isNaN(said)) return;
    const by = said + 500 - Date.now();
    apart = Math.abs(by) > SAME ? by : 0;
}

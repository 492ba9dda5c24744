// What axe finds on a page (WCAG 2.2 AA), a sentence a fault.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

// axe is put in by the browser's own door: a page's policy lets in no script from elsewhere.
export async function faultsOf(page) {
    if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(AXE);
    const { violations } = await page.evaluate(tags => window.axe.run({ runOnly: { type: 'tag', values: tags } }), RULES);
    return violations.map(
        one => `${one.impact} ${one.id}: ${one.nodes.map(node => `${node.target} ${node.failureSummary}`).join('; ')}`,
    );
}

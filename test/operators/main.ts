/** Writes `OPERATORS.md`: npm run operators. */
import { writeFileSync } from 'node:fs'
import { needless, operatorsPage } from './list.ts'

writeFileSync(new URL('../../OPERATORS.md', import.meta.url), operatorsPage())
for (const name of needless()) console.log(`${name} needs no reason any more: test/operators/reasons.ts`)

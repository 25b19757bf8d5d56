/** Writes `docs/recipe.md`: npm run recipes. */
import { writeFileSync } from 'node:fs'
import { recipePage } from './recipe-page.ts'

writeFileSync(new URL('../../docs/recipe.md', import.meta.url), `${recipePage()}\n`)

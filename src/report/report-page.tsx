/** `report.html`: a compilation as one page. */
import { renderDocument } from './document.tsx'
import type { Results } from './results.ts'
import { nameOfResults, Result } from './view/result.tsx'

/** The page; the same results give the same bytes. */
export const renderPage = (results: Results): string =>
  renderDocument(nameOfResults(results), <Result results={results} />)

/** Starts the page, and keeps it for when there is no network. */
import { render } from 'preact'
import 'virtual:report-sort'
import { pageStyle } from '../../src/report/view/page-style.ts'
import { App } from './app.tsx'
import './page.css'

const style = new CSSStyleSheet()
style.replaceSync(pageStyle)
document.adoptedStyleSheets = [style, ...document.adoptedStyleSheets]

const root = document.getElementById('app')
if (root !== null) render(<App />, root)

// Not while the page is worked on.
if (import.meta.hot === undefined && 'serviceWorker' in navigator)
  void navigator.serviceWorker.register('./service-worker.js')

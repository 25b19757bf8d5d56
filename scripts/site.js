// @ts-check
// Makes TypeDoc call guides by their titles, in the list beside every page and where they are found, their addresses
// staying the names of the files; and tell screen readers what is where.
import { PageEvent, Renderer } from 'typedoc'

/** @param {import('typedoc').Application} application */
export const load = ({ renderer }) => {
  // Addresses are known by then.
  renderer.on(Renderer.EVENT_BEGIN, ({ project }) => {
    for (const document of project.documents ?? []) {
      const text = document.content.map((part) => part.text).join('')
      document.name = /^# (.+)$/m.exec(text)?.[1] ?? document.name
    }
  })
  renderer.on(PageEvent.END, (page) => {
    page.contents = page.contents
      ?.replace('<div class="col-content">', '<div class="col-content" role="main">')
      .replace('<div class="col-sidebar">', '<div class="col-sidebar" role="complementary">')
      // They scroll on narrow screens, by keys too.
      .replaceAll(/<(?:table|p)(?=>(?:\s*<thead>|<img))/g, '$& tabindex="0"')
  })
}

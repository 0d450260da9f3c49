// Copies the browser files Berth ships from node_modules to static/vendor (the ones only tests need to tests/browser/vendor),
// draws the icon sprite, and writes the sha256 of every shipped file to static/vendor/manifest.json, which a test checks.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const packages = join(here, 'node_modules')
const shipped = join(here, '..', 'static', 'vendor')
const forTests = join(here, '..', 'tests', 'browser', 'vendor')

const FILES = {
  'tabler/tabler.min.css': '@tabler/core/dist/css/tabler.min.css',
  'idiomorph/idiomorph-ext.min.js': 'idiomorph/dist/idiomorph-ext.min.js',
  'idiomorph/LICENSE': 'idiomorph/LICENSE',
  'inter/inter-latin.woff2': '@fontsource-variable/inter/files/inter-latin-wght-normal.woff2',
  'inter/inter-latin-ext.woff2': '@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2',
  'inter/LICENSE': '@fontsource-variable/inter/LICENSE',
  'icons/LICENSE': '@tabler/icons/LICENSE',
}
const TEST_FILES = { 'axe.min.js': 'axe-core/axe.min.js', 'axe.LICENSE': 'axe-core/LICENSE' }

rmSync(shipped, { recursive: true, force: true })
for (const [name, source] of Object.entries(FILES)) put(join(shipped, name), contents(source))
for (const [name, source] of Object.entries(TEST_FILES)) put(join(forTests, name), contents(source))
put(join(shipped, 'icons/sprite.svg'), sprite(lines('icons.txt')))
writeManifest([...Object.keys(FILES), 'icons/sprite.svg'])

// Source maps are not shipped, so the pointers to them would only make 404s in the developer tools.
function contents(source) {
  const bytes = readFileSync(join(packages, source))
  if (!/\.(js|css)$/.test(source)) return bytes
  return bytes.toString('utf8').replace(/\n?(\/\/[#@] sourceMappingURL=\S+|\/\*# sourceMappingURL=\S+ \*\/)\s*$/, '\n')
}

function sprite(names) {
  const symbols = names.map((name) => {
    const svg = readFileSync(join(packages, '@tabler/icons/icons/outline', `${name}.svg`), 'utf8')
    const drawing = svg
      .replace(/^[\s\S]*?<svg[\s\S]*?>/, '')
      .replace('</svg>', '')
      .replace(/\s*<path stroke="none" d="M0 0h24v24H0z" fill="none" \/>/, '')
    return `<symbol id="${name}" viewBox="0 0 24 24">${drawing.replace(/\s*\n\s*/g, '')}</symbol>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join('\n')}\n</svg>\n`
}

function writeManifest(names) {
  const sums = names.sort().map((name) => [name, createHash('sha256').update(readFileSync(join(shipped, name))).digest('hex')])
  put(join(shipped, 'manifest.json'), JSON.stringify(Object.fromEntries(sums), null, 2) + '\n')
}

function lines(name) {
  return readFileSync(join(here, name), 'utf8').split('\n').filter(Boolean)
}

function put(path, bytes) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
}

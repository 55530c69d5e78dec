// Make the files that the report's page, and its tests, take from the npm registry:
//
//     cd scripts/page_library && npm ci && node build.mjs
//
// package-lock.json states the checksum of every package, which `npm ci` checks. The files are the same on every
// machine; tests/reporting/page/test_page_library.py compares them with checksums.txt.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const charts = "hf_sslgen/reporting/page/templates/vendor/plot.min.js";
const axe = "tests/browser/vendor/axe.min.js";

const packageOf = path => {
  const parts = path.split("node_modules/").at(-1).split("/");
  return parts.slice(0, parts[0].startsWith("@") ? 2 : 1).join("/");
};

// The licences ask for their notices in every copy, so the notices are in the file, and so in every page.
const notice = name => {
  const folder = join(here, "node_modules", name);
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find(entry => /^(un)?licen[sc]e/i.test(entry));
  if (!file) return { head: `${name} ${version}`, text: JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).license };
  const lines = readFileSync(join(folder, file), "utf8").trim().split("\n");
  const isCopyright = line => /^copyright (\(c\) )?\d/i.test(line);
  const copyright = lines.filter(isCopyright).join(" ");
  const text = lines.filter(line => !isCopyright(line)).join(" ").replace(/\s+/g, " ").trim();
  return { head: `${name} ${version}. ${copyright}`.trim(), text };
};

const result = await build({
  absWorkingDir: here,
  entryPoints: ["charts.js"],
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "Plot",
  target: "es2020",
  charset: "ascii",
  legalComments: "none",
  metafile: true,
  write: false,
});
const byText = new Map();
const inputs = Object.values(result.metafile.outputs)[0].inputs;
const used = Object.entries(inputs).filter(([path, { bytesInOutput }]) => path.includes("node_modules/") && bytesInOutput > 0);
for (const name of [...new Set(used.map(([path]) => packageOf(path)))].sort()) {
  const { head, text } = notice(name);
  byText.set(text, [...(byText.get(text) ?? []), head]);
}
const banner = [...byText].map(([text, heads]) => `${heads.join("\n")}\n${text}`).join("\n\n").replaceAll("*/", "* /");
const files = {
  [charts]: `/*\n${banner}\n*/\n${result.outputFiles[0].text}`,
  [axe]: readFileSync(join(here, "node_modules", "axe-core", "axe.min.js"), "utf8"),
};
const checksums = [];
for (const [path, text] of Object.entries(files)) {
  if (/<\/script|<!--/i.test(text) && path === charts) throw new Error(`${path} would end the page's script element`);
  const target = join(root, path);
  if (!existsSync(dirname(target))) mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
  checksums.push(`${createHash("sha256").update(text).digest("hex")}  ${path}`);
}
writeFileSync(join(here, "checksums.txt"), `${checksums.join("\n")}\n`);

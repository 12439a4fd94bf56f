/**
 * Builds the page: one file that needs nothing else, into the package.
 *
 * What it needs is in it as <script data-part="…">: onnxruntime's WebAssembly, the worker, and the
 * graphs that `python -m napari_sam.web.graphs graphs` wrote. An image is added by `napari-sam page`.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = process.argv[2] ?? join(HERE, "..", "src", "napari_sam", "web", "page.html");
const RUNTIME = join(HERE, "node_modules", "onnxruntime-web", "dist", "ort-wasm-simd-threaded.wasm");
const RUNTIME_SHA256 = "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"; // of onnxruntime-web 1.30.0

const runtime = readFileSync(RUNTIME);
const found = createHash("sha256").update(runtime).digest("hex");
if (found !== RUNTIME_SHA256) throw new Error(`${RUNTIME} has the hash ${found}, not ${RUNTIME_SHA256}`);

async function bundle(entry, format) {
  const result = await build({
    entryPoints: [join(HERE, "src", entry)], bundle: true, minify: true, write: false, format, target: "es2022",
    charset: "utf8", logLevel: "warning",
    define: { "import.meta.url": "self.location.href" }, // onnxruntime's threads begin as the worker does, by its address
  });
  return result.outputFiles[0].text.trim();
}

function part(name, content) {
  return `<script type="application/octet-stream" data-part="${name}">${Buffer.from(content).toString("base64")}</script>`;
}

const hashOf = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
// In a page, a program must not end its own element
const script = (await bundle("main.ts", "esm")).replaceAll("</script", "<\\/script");
const style = readFileSync(join(HERE, "src", "page.css"), "utf8");
const policy = [
  "default-src 'none'", `script-src ${hashOf(script)} 'wasm-unsafe-eval'`, `style-src ${hashOf(style)}`,
  "worker-src blob:", "base-uri 'none'", "form-action 'none'",
].join("; ");
const graph = (name) => part(`${name}.gz`, gzipSync(readFileSync(join(HERE, "graphs", name)), { level: 9 }));
const parts = [
  part("worker.js", await bundle("network/worker.ts", "iife")), part("runtime.wasm.gz", gzipSync(runtime, { level: 9 })),
  graph("encoder.onnx"), graph("decoder.onnx"), graph("network.json"),
];

const page = readFileSync(join(HERE, "src", "page.html"), "utf8")
  .replace("{{policy}}", () => policy)
  .replace("{{style}}", () => style)
  .replace("<script>{{script}}</script>\n<!-- parts -->", () => `${parts.join("\n")}\n<!-- parts -->\n<script type="module">${script}</script>`);
mkdirSync(dirname(OUT), { recursive: true });
writeFileSync(OUT, page);
console.log(`${OUT}: ${(page.length / 1e6).toFixed(1)} MB`);

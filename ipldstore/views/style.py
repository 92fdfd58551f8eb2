"""The style sheet of the HTML view: JupyterLab's and VS Code's colors, else light or dark."""

STYLE = """
.ipldstore { --fg: var(--jp-content-font-color0, var(--vscode-editor-foreground, #1b1b1b));
  --dim: var(--jp-content-font-color2, var(--vscode-descriptionForeground, #666));
  --bg: var(--jp-layout-color0, var(--vscode-editor-background, #fff));
  --soft: var(--jp-layout-color2, var(--vscode-editorWidget-background, #eee));
  --bar: var(--jp-brand-color1, var(--vscode-progressBar-background, #1976d2));
  --bad: var(--jp-error-color1, var(--vscode-errorForeground, #c62828));
  background: var(--bg); color: var(--fg); font: 13px/1.5 system-ui, sans-serif;
  max-width: 960px; padding: 6px 8px; }
@media (prefers-color-scheme: dark) { .ipldstore {
  --fg: var(--jp-content-font-color0, var(--vscode-editor-foreground, #e4e4e4));
  --dim: var(--jp-content-font-color2, var(--vscode-descriptionForeground, #a0a0a0));
  --bg: var(--jp-layout-color0, var(--vscode-editor-background, #161616));
  --soft: var(--jp-layout-color2, var(--vscode-editorWidget-background, #333));
  --bar: var(--jp-brand-color1, var(--vscode-progressBar-background, #64b5f6));
  --bad: var(--jp-error-color1, var(--vscode-errorForeground, #ef9a9a)); } }
.ipldstore code { background: none; color: inherit; font: 12px ui-monospace, monospace;
  overflow-wrap: anywhere; padding: 0; }
.ipldstore .cid { cursor: copy; user-select: all; -webkit-user-select: all; }
.ipldstore dl { display: grid; gap: 0 12px; grid-template-columns: max-content 1fr;
  margin: 2px 0 4px; }
.ipldstore dt { color: var(--dim); font-weight: normal; }
.ipldstore dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.ipldstore ul { list-style: none; margin: 0; padding: 0; }
.ipldstore li { margin: 0; }
.ipldstore ul ul { border-left: 1px solid var(--soft); margin-left: 5px; padding-left: 10px; }
.ipldstore .tree { border-top: 1px solid var(--soft); padding-top: 3px; }
.ipldstore summary { cursor: pointer; display: flex; gap: 10px; list-style: none; }
.ipldstore summary::-webkit-details-marker { display: none; }
.ipldstore summary::before { color: var(--dim); content: "\\25b8"; flex: none; width: 8px; }
.ipldstore details[open] > summary::before { content: "\\25be"; }
.ipldstore summary:hover { background: var(--soft); }
.ipldstore summary > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.ipldstore .name { flex: 1 1 8em; min-width: 4em; }
.ipldstore .group > summary > .name { font-weight: 600; }
.ipldstore .shape { flex: 0 1 17em; }
.ipldstore .type { flex: 0 0 5.5em; }
.ipldstore .count { display: flex; flex: 0 0 13em; gap: 6px; }
.ipldstore .count > span { align-self: center; background: var(--soft); border-radius: 3px;
  flex: 0 0 60px; height: 6px; overflow: hidden; }
.ipldstore .count > span > span { background: var(--bar); display: block; height: 6px; }
.ipldstore .size { flex: 0 0 5.5em; text-align: right; }
.ipldstore .shape, .ipldstore .type, .ipldstore .count, .ipldstore .size, .ipldstore .more {
  color: var(--dim); }
.ipldstore li > details > dl { font-size: 12px; margin-left: 18px; }
.ipldstore .error { color: var(--bad); overflow-wrap: anywhere; white-space: pre-wrap; }
"""

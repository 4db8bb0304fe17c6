import durationJs from "../core/duration.js" with { type: "text" };
import auditHtml from "./page/audit.html" with { type: "text" };
import chartsJs from "./page/charts.js" with { type: "text" };
import domJs from "./page/dom.js" with { type: "text" };
import favicon from "./page/favicon.svg" with { type: "text" };
import fleetPanelJs from "./page/fleet_panel.js" with { type: "text" };
import formatJs from "./page/format.js" with { type: "text" };
import incidentsPanelJs from "./page/incidents_panel.js" with { type: "text" };
import kpiPanelJs from "./page/kpi_panel.js" with { type: "text" };
import listPanelsJs from "./page/list_panels.js" with { type: "text" };
import meterJs from "./page/meter.js" with { type: "text" };
import notFoundHtml from "./page/not_found.html" with { type: "text" };
import pageCss from "./page/page.css" with { type: "text" };
import pageHtml from "./page/page.html" with { type: "text" };
import pageJs from "./page/page.js" with { type: "text" };
import partsJs from "./page/parts.js" with { type: "text" };
import pipelineCss from "./page/pipeline.css" with { type: "text" };
import pipelineHtml from "./page/pipeline.html" with { type: "text" };
import pipelineJs from "./page/pipeline.js" with { type: "text" };
import statusPanelsJs from "./page/status_panels.js" with { type: "text" };
import validationPanelJs from "./page/validation_panel.js" with { type: "text" };

/** A file of the page, as it is sent. */
export type Asset = { readonly type: string; readonly text: string };

const javascript = (text: string): Asset => ({ type: "text/javascript; charset=utf-8", text });

/** The page's files by path. Text imports: they are part of the bundle on any runtime. */
export const ASSETS: Readonly<Record<string, Asset>> = {
  "/": { type: "text/html; charset=utf-8", text: pageHtml },
  "/page.css": { type: "text/css; charset=utf-8", text: pageCss },
  "/page.js": javascript(pageJs),
  "/core/duration.js": javascript(durationJs),
  "/charts.js": javascript(chartsJs),
  "/dom.js": javascript(domJs),
  "/fleet_panel.js": javascript(fleetPanelJs),
  "/format.js": javascript(formatJs),
  "/incidents_panel.js": javascript(incidentsPanelJs),
  "/kpi_panel.js": javascript(kpiPanelJs),
  "/list_panels.js": javascript(listPanelsJs),
  "/meter.js": javascript(meterJs),
  "/parts.js": javascript(partsJs),
  "/pipeline": { type: "text/html; charset=utf-8", text: pipelineHtml },
  "/pipeline.css": { type: "text/css; charset=utf-8", text: pipelineCss },
  "/pipeline.js": javascript(pipelineJs),
  "/status_panels.js": javascript(statusPanelsJs),
  "/validation_panel.js": javascript(validationPanelJs),
  "/favicon.svg": { type: "image/svg+xml; charset=utf-8", text: favicon },
};

/**
 * The audit page: one file, with all that it runs. It may talk to nobody, so that what is given to it
 * stays where it is.
 */
export const AUDIT: Asset = { type: "text/html; charset=utf-8", text: auditHtml };

/** What the audit page may do. */
export const AUDIT_POLICY = "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' " +
  "blob:; worker-src blob:; style-src 'unsafe-inline'; img-src data:; frame-src 'self' blob:; " +
  "connect-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What an unknown address outside /api/ shows. */
export const NOT_FOUND: Asset = { type: "text/html; charset=utf-8", text: notFoundHtml };

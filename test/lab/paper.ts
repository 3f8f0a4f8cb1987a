/**
 * What the charts of the pages have in common: their paper, and how they are drawn. ECharts draws them,
 * as SVG and without a browser.
 */

import * as echarts from 'echarts';

export const INK = '#1f2328';
export const FAINT_INK = '#656d76';
export const GRID = '#d8dee4';
const FONT = 'system-ui, Helvetica, Arial, sans-serif';

/** To begin the options of a chart with. */
export const PAPER = {
  animation: false,
  backgroundColor: '#ffffff',
  textStyle: { fontFamily: FONT, color: INK },
} as const;

/** `subtext`: lines below it. */
export function heading(text: string, subtext: string) {
  return {
    ...{ text, subtext, left: 16, top: 10 },
    textStyle: { fontSize: 18, color: INK },
    subtextStyle: { fontSize: 11, color: FAINT_INK, lineHeight: 15 },
  };
}

/** Above a panel, of which the left upper corner is there. */
export function panelTitle(text: string, left: number, top: number) {
  return {
    ...{ text, left: left - 4, top },
    textStyle: { fontSize: 12, fontWeight: 'bold' as const, color: INK },
  };
}

export function drawSvg(width: number, height: number, options: echarts.EChartsOption): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption(options);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

import { render } from 'preact'
import { App } from './app'
import 'uplot/dist/uPlot.min.css'
import './style/colours.css'
import './style/base.css'
import './style/layout.css'
import './style/parts.css'

const place = document.getElementById('app')
if (place) render(<App />, place)

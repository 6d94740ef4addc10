package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/modelwatch/modelwatch"
)

const viewInterval = time.Second

// view shows the state again and again: as a live table on a terminal, and as a
// line for each new result elsewhere.
func (d *dev) view(ctx context.Context) error {
	fmt.Fprintf(d.opts.Streams.Err, "ready after %s\n", time.Since(d.started).Round(10*time.Millisecond))
	width, terminal := terminalWidth(d.opts.Streams.Out)
	if !terminal || d.opts.Plain {
		return d.viewLines(ctx)
	}
	return d.viewLive(ctx, width)
}

func (d *dev) addresses() []string {
	s := d.service
	lines := []string{
		fmt.Sprintf("REST http://%s  (docs at /docs, metrics at /metrics)   Kafka %s, topic %s", s.cfg.Listen, strings.Join(s.cfg.Kafka.Brokers, ","), devTopic),
		fmt.Sprintf("everything is kept in %s; its log is %s/dev.log", d.opts.Data, d.opts.Data),
	}
	if d.resumed {
		lines = append(lines, "going on from where it was stopped")
	}
	return lines
}

// snapshot reads what is to be shown. history carries over from one to the next.
func (d *dev) snapshot(ctx context.Context, h history) (devSnapshot, error) {
	s := devSnapshot{Addresses: d.addresses(), EventTime: d.clock.Now(), Speed: d.clock.speed, Uptime: time.Since(d.started), History: h}
	span := modelwatch.Window{Start: s.EventTime.Add(-100 * 24 * time.Hour), End: s.EventTime.Add(24 * time.Hour)}
	models, _, err := d.service.catalog.Models(ctx, modelwatch.Page{Limit: 100})
	if err != nil {
		return s, err
	}
	for _, m := range models {
		volumes, err := d.service.catalog.Volumes(ctx, m.Name, span)
		if err != nil {
			return s, err
		}
		for _, v := range volumes {
			s.Seen, s.Kept, s.Rejected = s.Seen+v.Seen, s.Kept+v.Kept, s.Rejected+v.Rejected
		}
	}
	if err := d.readRuns(ctx, &s); err != nil {
		return s, err
	}
	points, count := d.preview.recent()
	s.Points, s.SinkLabel = points, fmt.Sprintf("what Datadog would get (set DD_API_KEY to send it): %d points so far", count)
	return s, nil
}

// readRuns takes in the newest results: all there are at first, then those since.
func (d *dev) readRuns(ctx context.Context, s *devSnapshot) error {
	for _, state := range []modelwatch.RunState{modelwatch.RunSucceeded, modelwatch.RunFailed} {
		runs, _, err := d.service.catalog.Runs(ctx, modelwatch.RunFilter{Page: modelwatch.Page{Limit: 10_000}, State: state})
		if err != nil {
			return err
		}
		if state == modelwatch.RunFailed {
			s.Failed = int64(len(runs))
			continue
		}
		s.Succeeded = int64(len(runs))
	}
	filter := modelwatch.MeasurementFilter{Page: modelwatch.Page{Limit: 5000}, From: s.EventTime.Add(-historySpan)}
	for {
		ms, next, err := d.service.catalog.Measurements(ctx, filter)
		if err != nil {
			return err
		}
		for _, m := range ms {
			s.History.add(m)
		}
		if next == "" {
			return nil
		}
		filter.Cursor = next
	}
}

// historySpan covers the windows that the charts show.
const historySpan = 135 * time.Minute

// viewLines prints a line for each window that is new or revised.
func (d *dev) viewLines(ctx context.Context) error {
	out := d.opts.Streams.Out
	for _, line := range d.addresses() {
		fmt.Fprintln(out, line)
	}
	shown, h := map[string]bool{}, history{}
	for sleepContext(ctx, viewInterval) {
		s, err := d.snapshot(ctx, h)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		printNews(out, s.History, shown)
	}
	return nil
}

// printNews prints one line for each newest window of a job that is not shown yet.
func printNews(out io.Writer, h history, shown map[string]bool) {
	for _, g := range h.groups() {
		var parts []string
		var newest modelwatch.Measurement
		for k, series := range h {
			if (viewGroup{k.model, k.version, k.job, k.kind}) != g {
				continue
			}
			if m := series[len(series)-1]; m.Window.End.After(newest.Window.End) {
				newest = m
			}
		}
		for k, series := range h {
			m := series[len(series)-1]
			if (viewGroup{k.model, k.version, k.job, k.kind}) != g || !m.Window.End.Equal(newest.Window.End) {
				continue
			}
			newest.Revision = max(newest.Revision, m.Revision)
			switch {
			case m.Breached:
				parts = append(parts, strings.TrimSpace(k.name+" "+k.metric)+" "+formatValue(m, true)+" !")
			case g.kind == modelwatch.JobBacktest && m.Value.Value != nil && slices.Contains([]string{"precision", "recall", "rmse"}, k.metric):
				parts = append(parts, k.metric+" "+formatValue(m, true))
			}
		}
		key := fmt.Sprint(g, newest.Window.End, newest.Revision)
		if shown[key] {
			continue
		}
		shown[key] = true
		slices.Sort(parts)
		if len(parts) == 0 {
			parts = []string{"nothing over its threshold"}
		}
		fmt.Fprintf(out, "%s to %s  %s %s %s: %s\n", newest.Window.Start.UTC().Format("01-02 15:04"), newest.Window.End.UTC().Format("15:04"), g.model, g.version, g.job, strings.Join(parts, ", "))
	}
}

// viewLive draws the state on a terminal until the user ends it.
func (d *dev) viewLive(ctx context.Context, width int) error {
	m := &liveModel{dev: d, ctx: ctx, width: width, history: history{}}
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithOutput(d.opts.Streams.Out), tea.WithoutSignalHandler())
	_, err := p.Run()
	switch {
	case m.interrupted:
		return errStop
	case ctx.Err() != nil, errors.Is(err, tea.ErrProgramKilled):
		return nil
	}
	return err
}

type liveModel struct {
	dev         *dev
	ctx         context.Context
	width       int
	history     history
	text        string
	interrupted bool
}

type drawn struct {
	text string
	err  error
}

func (m *liveModel) Init() tea.Cmd { return m.draw }

// draw makes the next picture.
func (m *liveModel) draw() tea.Msg {
	s, err := m.dev.snapshot(m.ctx, m.history)
	if err != nil {
		return drawn{err: err}
	}
	p := colours()
	if os.Getenv("NO_COLOR") != "" {
		p = noColours()
	}
	return drawn{text: s.render(p, m.width)}
}

func (m *liveModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width = msg.Width
	case tea.KeyPressMsg:
		if msg.String() == "ctrl+c" || msg.String() == "q" {
			m.interrupted = true
			return m, tea.Quit
		}
	case drawn:
		if msg.err == nil {
			m.text = msg.text
		}
		return m, tea.Tick(viewInterval, func(time.Time) tea.Msg { return m.draw() })
	}
	return m, nil
}

func (m *liveModel) View() tea.View {
	v := tea.NewView(m.text + "\nq or ctrl+c stops\n")
	v.AltScreen = true
	return v
}

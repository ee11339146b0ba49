package answer

import (
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/page"
)

// nextPage is the token of the page after a last name.
func (s *Service) nextPage(ts engine.CommitTS, last string, scope ...string) string {
	epoch, _ := s.engine.Epoch()
	return page.Token{TS: ts, Last: last, Epoch: epoch}.Encode(scope...)
}

// pageAfter reads the token of a request; an empty one is the first page, at. One of another epoch, in which
// its commit was another, is refused.
func (s *Service) pageAfter(token string, at engine.At, scope ...string) (page.Token, engine.At, error) {
	t, at, err := page.Parse(token, at, scope...)
	if err == nil && token != "" {
		err = s.engine.CheckEpoch(t.Epoch, t.TS)
	}
	return t, at, err
}

// page is one of as many items as are asked for, within what there may be; 0: as usual.
func (s *Service) page(asked uint32, usual int) engine.Page {
	t := &s.config.Tuning
	if asked > 0 {
		usual = int(asked)
	}
	return engine.Page{Items: min(usual, t.NamesPage), Bytes: t.PageBytes}
}

// pageFull counts the bound that ended a page of so many items.
func (s *Service) pageFull(items int, p engine.Page) {
	switch {
	case p.Items == 0 || items < p.Items:
		s.reached.PageBytes.Add(1)
	case p.Items == s.config.Tuning.HistoryPage:
		s.reached.HistoryPage.Add(1)
	case p.Items == s.config.Tuning.NamesPage:
		s.reached.NamesPage.Add(1)
	}
}

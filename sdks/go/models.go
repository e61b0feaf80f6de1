package prsm

import (
	"context"
	"net/url"
	"strings"
)

// ModelsService lists models; reach it as client.Models.
type ModelsService struct{ core *core }

// Model is something that can be asked.
type Model struct {
	ID      string   `json:"id"`
	Created UnixTime `json:"created"`
	OwnedBy string   `json:"owned_by"`
}

// List tells the models that this key may use.
func (s *ModelsService) List(ctx context.Context) ([]Model, error) {
	var page struct {
		Data []Model `json:"data"`
	}
	if err := s.core.get(ctx, "/v1/models", &page); err != nil {
		return nil, err
	}
	return page.Data, nil
}

// Get looks up one model. An id may contain slashes.
func (s *ModelsService) Get(ctx context.Context, id string) (*Model, error) {
	segments := strings.Split(id, "/")
	for n, segment := range segments {
		if segment == "" || segment == "." || segment == ".." {
			return nil, invalid("%q is no model id", id) // a proxy would walk up the path
		}
		segments[n] = url.PathEscape(segment)
	}
	model := &Model{}
	if err := s.core.get(ctx, "/v1/models/"+strings.Join(segments, "/"), model); err != nil {
		return nil, err
	}
	return model, nil
}

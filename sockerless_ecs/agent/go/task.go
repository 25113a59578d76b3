package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// learnTask asks ECS's metadata endpoint who we are. Nothing waits for it, and nothing depends on it.
func (a *agent) learnTask() {
	if a.metadataURI == "" {
		return
	}
	for wait := time.Second; wait < time.Minute; wait *= 2 {
		if arn := askTask(a.metadataURI); arn != "" {
			a.arn.Store(&arn)
			return
		}
		time.Sleep(wait)
	}
}

func askTask(uri string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, uri+"/task", nil)
	if err != nil {
		return ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	var task struct{ TaskARN string }
	json.NewDecoder(response.Body).Decode(&task)
	return task.TaskARN
}

package main

import (
	"bytes"
	endian "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
)

// kserveAgent has KServe's agent stand before a predictor, as the sidecar of an
// inference service does, and log its requests and responses.
func (p *producers) kserveAgent() {
	predictor := httptest.NewServer(http.HandlerFunc(p.predict))
	p.t.Cleanup(predictor.Close)
	_, behind, _ := strings.Cut(strings.TrimPrefix(predictor.URL, "http://"), ":")
	_, port, _ := strings.Cut(freeAddress(p.t), ":")
	agent := "http://127.0.0.1:" + port
	cmd := exec.Command(p.program("agent", "agent"), "--port", port, "--component-port", behind,
		"--log-url", p.forward("agent").URL, "--log-mode", "all", "--inference-service", "tulips", "--namespace", "default", "--component", "predictor", "--endpoint", "canary")
	p.serve(agent, cmd, fmt.Sprintf(`SERVING_READINESS_PROBE={"tcpSocket":{"port":%s},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}`, behind))

	v1, v2 := agent+"/v1/models/tulips:predict", agent+"/v2/models/tulips/infer"
	p.ask(v1, "a-1", []byte(`{"instances":[[6.8,2.8],[4.9,3.4]]}`), 0)
	p.ask(v2, "a-2", []byte(`{"inputs":[{"name":"input-0","shape":[1,2],"datatype":"FP64","data":[5.5,2.5]}]}`), 0)
	text := []byte(`{"inputs":[{"name":"input-0","shape":[1,2],"datatype":"FP64","parameters":{"binary_data_size":16}}]}`)
	p.ask(v2, "a-3", append(text, tensor(6.5, 3)...), len(text))
	p.ask(v1, "", []byte(`{"instances":[[5.25,1.5]]}`), 0) // the agent makes an id
}

// tensor is values as they stand behind the JSON.
func tensor(values ...float64) (out []byte) {
	for _, v := range values {
		out = endian.LittleEndian.AppendUint64(out, math.Float64bits(v))
	}
	return out
}

// lengthHeader says how much of a body of the V2 protocol is JSON.
const lengthHeader = "Inference-Header-Content-Length"

// ask sends a request to the agent. jsonBytes is 0 where all of the body is JSON.
func (p *producers) ask(url, id string, body []byte, jsonBytes int) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if jsonBytes > 0 {
		request.Header.Set("Content-Type", "application/octet-stream")
		request.Header.Set(lengthHeader, strconv.Itoa(jsonBytes))
	}
	if id != "" {
		request.Header.Set("Ce-Id", id)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatalf("%s answered %d: %s %v", url, answer.StatusCode, text, err)
	}
}

// predict answers as a server of both protocols does: the class of a flower is 1 if
// it is longer than 6, else 0.
func (p *producers) predict(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			err = predictV1(w, body)
		} else {
			err = predictV2(w, r, body)
		}
	}
	if err != nil {
		p.t.Errorf("predict %s: %v", r.URL.Path, err)
		w.WriteHeader(http.StatusBadRequest)
	}
}

func class(length float64) int64 {
	if length > 6 {
		return 1
	}
	return 0
}

func predictV1(w io.Writer, body []byte) error {
	var in struct{ Instances [][]float64 }
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	out := map[string][]int64{}
	for _, row := range in.Instances {
		out["predictions"] = append(out["predictions"], class(row[0]))
	}
	return json.NewEncoder(w).Encode(out)
}

// predictV2 answers a request of one row in the way in which it came: with the tensor
// in the JSON, or behind it.
func predictV2(w http.ResponseWriter, r *http.Request, body []byte) error {
	length := len(body)
	if text := r.Header.Get(lengthHeader); text != "" {
		var err error
		if length, err = strconv.Atoi(text); err != nil {
			return err
		}
	}
	var in struct{ Inputs []struct{ Data []float64 } }
	if err := json.Unmarshal(body[:length], &in); err != nil {
		return err
	}
	if len(in.Inputs) != 1 {
		return errors.New("want one tensor")
	}
	if length == len(body) {
		_, err := fmt.Fprintf(w, `{"model_name":"tulips","id":"x","outputs":[{"name":"output-0","shape":[1],"datatype":"INT64","data":[%d]}]}`, class(in.Inputs[0].Data[0]))
		return err
	}
	value := class(math.Float64frombits(endian.LittleEndian.Uint64(body[length:])))
	text := `{"model_name":"tulips","outputs":[{"name":"output-0","shape":[1],"datatype":"INT64","parameters":{"binary_data_size":8}}]}`
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set(lengthHeader, strconv.Itoa(len(text)))
	_, err := w.Write(endian.LittleEndian.AppendUint64([]byte(text), uint64(value)))
	return err
}

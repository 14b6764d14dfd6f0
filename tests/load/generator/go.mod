module llm-gateway/load

go 1.21

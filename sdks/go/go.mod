module github.com/Ryno2390/PRSM/sdks/go

go 1.19
